import { AGENT } from './agent.ts';
import { AUDIT } from './audit.ts';
import { DATA } from './data.ts';
import { DEMO } from './demo.ts';
import { GENERAL } from './general.ts';
import { IDENTITY } from './identity.ts';
import { MERKLE } from './merkle.ts';
import { MODEL } from './model.ts';
import { OPERATOR } from './operator.ts';
import { PRIVACY } from './privacy.ts';
import { ROUND } from './round.ts';
import { RPC } from './rpc.ts';
import { SECAGG } from './secagg.ts';
import { STUDY } from './study.ts';
import type { CatalogueEntry } from './section.ts';

/** Every code of the product, once. docs/errors.md is generated from it. */
export const CATALOGUE = {
  ...GENERAL,
  ...IDENTITY,
  ...RPC,
  ...STUDY,
  ...DATA,
  ...MODEL,
  ...SECAGG,
  ...PRIVACY,
  ...ROUND,
  ...MERKLE,
  ...AUDIT,
  ...OPERATOR,
  ...DEMO,
  ...AGENT,
} as const;

export type ErrorCode = keyof typeof CATALOGUE;

/** The same catalogue by section, in the order of the documentation. */
export const SECTIONS = {
  'General and configuration': GENERAL,
  'Identity and enrolment': IDENTITY,
  'Network and messages': RPC,
  'Studies and charters': STUDY,
  'Data at the site': DATA,
  'Models and training': MODEL,
  'Secure aggregation': SECAGG,
  'Differential privacy': PRIVACY,
  Rounds: ROUND,
  'Merkle trees and checkpoints': MERKLE,
  'Audit log': AUDIT,
  Operator: OPERATOR,
  Demo: DEMO,
  'Agent at the hospital': AGENT,
} as const satisfies Record<string, Readonly<Record<string, CatalogueEntry>>>;

/** True when `code` is in the catalogue; use it on strings that came from a peer. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(CATALOGUE, code);
}
