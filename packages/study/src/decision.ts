import {
  MedleyError,
  canonicalBytes,
  checkSchema,
  equalBytes,
  timestamp,
  type JsonSchema,
} from '@medley/kit';
import { charterHash, type Charter } from './charter.ts';
import { NAME_PATTERN } from './schema.ts';

/**
 * A steward's word on a charter. Its canonical bytes are signed by the silo's identity key in the
 * domain "charter"; `meaning` says what the signature means (21 CFR 11.50).
 */
export interface Decision {
  /** Hash of the charter, hex. */
  readonly charter: string;
  /** `withdraw` leaves a study that was approved before. */
  readonly decision: 'approve' | 'refuse' | 'withdraw';
  readonly silo: string;
  readonly steward: string;
  readonly meaning: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  /** Not with `approve`. */
  readonly reason?: string;
}

/** What a signature under a decision means, word for word. */
export const DECISION_MEANING: Readonly<Record<Decision['decision'], string>> = {
  approve:
    'I have read this charter and approve that this hospital takes part in the study under its terms.',
  refuse: 'I have read this charter and refuse that this hospital takes part in the study.',
  withdraw:
    'This hospital leaves the study from now on; what it has sent before stays in the sums.',
};

const DECISION_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['charter', 'decision', 'silo', 'steward', 'meaning', 'at'],
  properties: {
    charter: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    decision: { enum: ['approve', 'refuse', 'withdraw'] },
    silo: { type: 'string', pattern: NAME_PATTERN },
    steward: { type: 'string', minLength: 1, maxLength: 200 },
    meaning: { type: 'string', minLength: 1, maxLength: 400 },
    at: {
      type: 'string',
      pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$',
    },
    reason: { type: 'string', minLength: 1, maxLength: 1000 },
  },
};

/** What a decision is made of. */
export interface DecisionDraft {
  readonly charter: Charter;
  readonly decision: Decision['decision'];
  readonly silo: string;
  readonly steward: string;
  readonly atMs: number;
  /** Needed for `refuse` and `withdraw`, not allowed for `approve`. */
  readonly reason?: string;
}

/** The statement to sign. Throws DECISION_INVALID when the draft does not make a sound one. */
export function decisionStatement(draft: DecisionDraft): Decision {
  const decision: Decision = {
    charter: charterHash(draft.charter),
    decision: draft.decision,
    silo: draft.silo,
    steward: draft.steward,
    meaning: DECISION_MEANING[draft.decision],
    at: timestamp(draft.atMs),
    ...(draft.reason === undefined ? {} : { reason: draft.reason }),
  };
  checkDecision(readDecision(canonicalBytes(decision)), draft.charter);
  return decision;
}

/** Reads the canonical bytes of a decision, strictly. Throws DECISION_INVALID. */
export function readDecision(bytes: Uint8Array): Decision {
  let value: unknown;
  let canonical: Uint8Array;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    canonical = canonicalBytes(value);
  } catch (cause) {
    throw new MedleyError('DECISION_INVALID', 'a decision is canonical JSON', { cause });
  }
  checkSchema(value, DECISION_SCHEMA, 'DECISION_INVALID');
  if (!equalBytes(canonical, bytes)) {
    throw new MedleyError('DECISION_INVALID', 'a decision is canonical JSON');
  }
  const decision = value as Decision;
  if (decision.meaning !== DECISION_MEANING[decision.decision]) {
    throw new MedleyError('DECISION_INVALID', 'the meaning does not belong to the decision');
  }
  if ((decision.decision !== 'approve') !== (decision.reason !== undefined)) {
    throw new MedleyError('DECISION_INVALID', 'a refusal has a reason and an approval has none');
  }
  return decision;
}

/**
 * Checks that a decision is about this charter and by a silo of its roster, made while the charter
 * lives. The signature is checked by whoever knows keys. Throws DECISION_INVALID.
 */
export function checkDecision(decision: Decision, charter: Charter): void {
  if (decision.charter !== charterHash(charter)) {
    throw new MedleyError('DECISION_INVALID', 'the decision is about another charter');
  }
  if (!charter.roster.some(({ silo }) => silo === decision.silo)) {
    throw new MedleyError('DECISION_INVALID', `${decision.silo} is not in the charter's roster`);
  }
  // Equal length and form, so that the order of text is the order of time.
  if (decision.at > charter.expires) {
    throw new MedleyError('DECISION_INVALID', 'the decision was made after the charter expired');
  }
}
