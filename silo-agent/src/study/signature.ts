import { MedleyError } from '@medley/kit';
import { signStatement, verifyStatement, type Identity } from '@medley/pki';
import {
  checkDecision,
  decisionStatement,
  readDecision,
  rosterEntries,
  type Charter,
  type Decision,
  type DecisionDraft,
} from '@medley/study';

/** Domain of decisions among the things that an identity signs. */
const DOMAIN = 'charter';

/** A decision and the silo's signature under it. */
export interface SignedDecision {
  readonly decision: Decision;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

/** A decision as it travels. */
export interface DecisionBytes {
  readonly silo: string;
  /** Canonical JSON of the {@link Decision}. */
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
}

/** Throws DECISION_INVALID when the draft makes no sound statement. */
export function signDecision(draft: DecisionDraft, identity: Identity): SignedDecision {
  const decision = decisionStatement(draft);
  return { decision, ...signStatement(identity, DOMAIN, { ...decision }) };
}

/** The decision, if it is about this charter and signed by its silo's pinned key. Throws DECISION_INVALID. */
export function verifyDecision(charter: Charter, bytes: DecisionBytes): Decision {
  const decision = readDecision(bytes.statement);
  checkDecision(decision, charter);
  const member = rosterEntries(charter).find(({ silo }) => silo === decision.silo);
  if (bytes.silo !== decision.silo || !member) {
    throw new MedleyError('DECISION_INVALID', `a decision of ${decision.silo} under another name`);
  }
  if (!verifyStatement(member.identityKey, DOMAIN, { ...decision }, bytes.signature)) {
    throw new MedleyError('DECISION_INVALID', `signature of ${decision.silo}`);
  }
  return decision;
}

/**
 * That every hospital of the roster approved this very charter, each with its pinned key. Nothing
 * less lets this one take part. Throws STUDY_UNSIGNED naming who is missing, DECISION_INVALID.
 */
export function checkAllSigned(charter: Charter, signatures: readonly DecisionBytes[]): void {
  const approved = new Set<string>();
  for (const bytes of signatures) {
    const { decision, silo } = verifyDecision(charter, bytes);
    if (decision === 'approve') approved.add(silo);
  }
  const missing = charter.roster.map(({ silo }) => silo).filter((silo) => !approved.has(silo));
  if (missing.length > 0) {
    throw new MedleyError('STUDY_UNSIGNED', `no approval of ${missing.join(', ')}`);
  }
}
