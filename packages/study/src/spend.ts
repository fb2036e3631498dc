import {
  MedleyError,
  canonicalBytes,
  checkSchema,
  documentHash,
  equalBytes,
  type JsonSchema,
} from '@medley/kit';
import type { Release, ReleaseMechanism } from '@medley/privacy';
import { charterHash, type Charter } from './charter.ts';
import { roundPrice } from './privacyTerms.ts';
import { NAME_PATTERN } from './schema.ts';

/**
 * What one hospital paid for one round, from its own ledger. Its canonical bytes are signed by the
 * silo's identity key in the domain "spend". It follows from the charter and the ledger alone and
 * tells nothing of other studies.
 */
export interface SpendStatement {
  readonly medley: 'spend/v1';
  /** Hash of the charter, hex. */
  readonly charter: string;
  readonly silo: string;
  readonly round: number;
  readonly kind: 'statistics' | 'training' | 'evaluation';
  readonly unit: Release['unit'];
  readonly adjacency: Release['adjacency'];
  readonly mechanism: ReleaseMechanism;
  readonly accountant: 'rdp/1';
  /** ε of all releases of this study at this hospital up to this one, at `delta`. */
  readonly epsilon: number;
  readonly delta: number;
  /** The study's limit. */
  readonly limit: number;
  /** Hash of the ledger's entry, hex. */
  readonly entry: string;
}

/** A statement as it travels. */
export interface SpendBytes {
  /** Canonical JSON of the {@link SpendStatement}. */
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
}

/** Domain of these statements among the things that an identity signs. */
export const SPEND_DOMAIN = 'spend';

const hash: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const epsilon: JsonSchema = { type: 'number', minimum: 0 };

const SPEND_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: [
    ...['medley', 'charter', 'silo', 'round', 'kind', 'unit', 'adjacency', 'mechanism'],
    ...['accountant', 'epsilon', 'delta', 'limit', 'entry'],
  ],
  properties: {
    medley: { const: 'spend/v1' },
    charter: hash,
    silo: { type: 'string', pattern: NAME_PATTERN },
    round: { type: 'integer', minimum: 0 },
    kind: { enum: ['statistics', 'training', 'evaluation'] },
    unit: { enum: ['record', 'patient', 'silo'] },
    adjacency: { enum: ['addRemove', 'replaceOne'] },
    mechanism: {
      type: 'object',
      additionalProperties: false,
      required: ['kind', 'parameters'],
      properties: {
        kind: { type: 'string', maxLength: 64 },
        parameters: {
          type: 'object',
          maxProperties: 32,
          additionalProperties: { type: ['number', 'string'] },
        },
      },
    },
    accountant: { const: 'rdp/1' },
    epsilon,
    delta: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
    limit: epsilon,
    entry: hash,
  },
};

/** What a hospital says of its own ledger. */
export interface SpendDraft {
  readonly charter: Charter;
  readonly silo: string;
  readonly round: number;
  readonly kind: SpendStatement['kind'];
  readonly epsilon: number;
  /** Hash of the ledger's entry. */
  readonly entry: string;
}

/** The statement to sign. Throws PRIVACY_STATEMENT_INVALID for a round that costs nothing. */
export function spendStatement(draft: SpendDraft): SpendStatement {
  const { charter, silo, round, kind, epsilon: spent, entry } = draft;
  const price = roundPrice(charter, kind);
  const { privacy } = charter;
  if (!price || !privacy) throw invalid(`round ${round} costs no privacy`);
  const { mechanism, unit, adjacency } = price;
  return {
    medley: 'spend/v1',
    charter: charterHash(charter),
    ...{ silo, round, kind, unit, adjacency, mechanism },
    accountant: 'rdp/1',
    epsilon: spent,
    delta: privacy.delta,
    limit: privacy.epsilon,
    entry,
  };
}

/** Reads canonical bytes, strictly. Throws PRIVACY_STATEMENT_INVALID. */
export function readSpend(bytes: Uint8Array): SpendStatement {
  let value: unknown;
  let canonical: Uint8Array;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    canonical = canonicalBytes(value);
  } catch (cause) {
    throw new MedleyError('PRIVACY_STATEMENT_INVALID', 'it is not canonical JSON', { cause });
  }
  checkSchema(value, SPEND_SCHEMA, 'PRIVACY_STATEMENT_INVALID');
  if (!equalBytes(canonical, bytes)) throw invalid('it is not canonical JSON');
  return value as SpendStatement;
}

/**
 * Checks that a statement is of this charter's round, of the mechanism that the charter prescribes for
 * it, and within the limit. The signature is checked by whoever knows keys. Throws
 * PRIVACY_STATEMENT_INVALID.
 */
export function checkSpend(
  statement: SpendStatement,
  charter: Charter,
  expected: Pick<SpendDraft, 'silo' | 'round' | 'kind'>,
): void {
  const { epsilon: spent, entry } = statement;
  const meant = spendStatement({ charter, ...expected, epsilon: spent, entry });
  if (documentHash(meant) !== documentHash(statement)) {
    throw invalid(`round ${expected.round} of ${expected.silo}: it states other terms`);
  }
  // One part in a million, as for charters.
  if (spent > meant.limit * (1 + 1e-6)) {
    throw invalid(`round ${expected.round} of ${expected.silo}: ${spent} is above the limit`);
  }
}

function invalid(what: string): MedleyError {
  return new MedleyError('PRIVACY_STATEMENT_INVALID', what);
}
