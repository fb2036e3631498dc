import type { JsonSchema } from '@medley/kit';
import { CHARTER_SCHEMA } from '@medley/study';
import { closed, count, event, hash, instant, matching, silo, text } from './form.ts';
import { IDENTITY_SCHEMAS } from './identitySchema.ts';

const code = matching('^[A-Z][A-Z0-9_]{1,63}$', 'Code of the error catalogue.');
const step = matching('^[A-Za-z][A-Za-z-]{0,39}$', 'Step of the protocol.');
const kind: JsonSchema = {
  enum: ['statistics', 'training', 'evaluation'],
  description: 'Kind of the round.',
};
const base64 = (maxLength: number, description: string): JsonSchema => ({
  type: 'string',
  maxLength,
  pattern: '^[A-Za-z0-9+/]+={0,2}$',
  description,
});
const signature = matching('^[A-Za-z0-9+/]{86}==$', 'Ed25519, 64 bytes, base64.');
const charterHash = hash('Hash of the charter.');

const silos: JsonSchema = {
  type: 'array',
  items: { type: 'integer', minimum: 1, maximum: 200 },
  maxItems: 200,
  description: 'Roster indices, ascending.',
};

const receipt = closed('What the closed round proves.', {
  sid: hash('Session id.'),
  termsHash: hash('Hash of the session’s terms.'),
  sharers: silos,
  survivors: silos,
  confirmations: {
    type: 'array',
    maxItems: 200,
    description: 'Signatures of survivors under the same two sets.',
    items: closed('One survivor’s confirmation.', {
      silo: { type: 'integer', minimum: 1, maximum: 200 },
      survivorsHash: hash('Hash of the survivors.'),
      sharersHash: hash('Hash of the sharers.'),
      signature,
    }),
  },
  aggregateHash: hash('Hash of the opened sum.'),
});

const decision = (what: string) =>
  closed(what, {
    charterHash,
    silo,
    statement: base64(8192, 'Canonical statement that the steward signed, base64.'),
    signature,
  });

/** The charter's schema as a part of another one, where the dialect is not said again. */
const charter: JsonSchema = Object.fromEntries(
  Object.entries(CHARTER_SCHEMA).filter(([key]) => key !== '$schema'),
);

/** JSON Schema 2020-12 of each type of event; docs/events.md is generated from it. */
export const EVENT_SCHEMAS = {
  ...IDENTITY_SCHEMAS,
  'study.proposed': event(
    'study.proposed',
    'study',
    'An operator proposed a study; its charter waits for signatures.',
    closed(
      'What is proposed.',
      {
        charterHash,
        files: closed('SHA-256 of the exact files.', {
          study: hash('Of study.yaml.'),
          model: hash('Of the ONNX graph.'),
        }),
        studyFile: base64(60_000, 'The study file itself, base64, unless it is too large.'),
      },
      ['studyFile'],
    ),
  ),
  'charter.signed': event(
    'charter.signed',
    'study',
    'A hospital’s steward approved the charter.',
    decision('The signed approval.'),
  ),
  'charter.refused': event(
    'charter.refused',
    'study',
    'A hospital’s steward refused the charter.',
    decision('The signed refusal.'),
  ),
  'charter.withdrawn': event(
    'charter.withdrawn',
    'study',
    'A hospital left a study that had started; rounds go on without it while enough remain.',
    decision('The signed withdrawal.'),
  ),
  'study.paused': event(
    'study.paused',
    'study',
    'An operator paused the study: no round opens until it is resumed.',
    closed('Why.', { reason: text('In words.', 1000) }),
  ),
  'study.resumed': event(
    'study.resumed',
    'study',
    'An operator let the rounds go on.',
    closed('Of which charter.', { charterHash }),
  ),
  'study.started': event(
    'study.started',
    'study',
    'Every hospital of the roster had signed; rounds begin.',
    closed('The charter in full.', { charterHash, charter }),
  ),
  'study.stopped': event(
    'study.stopped',
    'study',
    'The study ended before its last round.',
    closed('Why.', { reason: text('A code of the catalogue or words.', 1000) }),
  ),
  'study.completed': event(
    'study.completed',
    'study',
    'The last round closed.',
    closed('The result.', {
      modelHash: hash('The final model state.'),
      rounds: count(1, 'Training rounds that closed.'),
    }),
  ),
  'model.exported': event(
    'model.exported',
    'study',
    'The model left the aggregator.',
    closed('The export.', {
      modelHash: hash('The model state.'),
      recipient: text('Who received it.'),
    }),
  ),
  'round.opened': event(
    'round.opened',
    'round',
    'An attempt at a round began.',
    closed('The session.', {
      kind,
      sid: hash('Session id.'),
      modelHash: hash('The model state it starts from.'),
      deadline: instant('End of the first step'),
    }),
  ),
  'privacy.spent': event(
    'privacy.spent',
    'round',
    'A hospital stated, signed, what the round took from its privacy budget.',
    closed('The statement.', {
      silo,
      statement: base64(8192, 'Canonical statement spend/v1, base64.'),
      signature,
    }),
  ),
  'round.dropped': event(
    'round.dropped',
    'round',
    'A silo was not there when a step closed.',
    closed('The loss.', { silo, step }),
  ),
  'round.blamed': event(
    'round.blamed',
    'round',
    'A silo’s own signed message proves that it broke the protocol.',
    closed(
      'The fault.',
      {
        silo,
        step,
        code,
        evidence: base64(8192, 'What convicts it, base64, where anybody can judge it alone.'),
      },
      ['evidence'],
    ),
  ),
  'message.refused': event(
    'message.refused',
    'any',
    'A message was refused and changed nothing.',
    closed('The refusal.', { silo, step, code }, ['silo']),
  ),
  'round.closed': event(
    'round.closed',
    'round',
    'The sum was opened and the next model state computed.',
    closed('The proof.', {
      kind,
      receipt,
      aggregateHash: hash('Hash of the opened sum, as in the receipt.'),
      modelHash: hash('The model state it started from.'),
      nextModelHash: hash('The model state after it.'),
    }),
  ),
  'model.rolledback': event(
    'model.rolledback',
    'round',
    'A gate of the study kept the round from moving the model; the round closes all the same.',
    closed('What it came to.', {
      reason: {
        enum: ['sum', 'shares', 'loss', 'auc', 'cosine'],
        description:
          'A sum that cannot be; one that cannot be opened, for the shares of a silo that is blamed; a model that does worse than the one before; an update that turns back.',
      },
      modelHash: hash('The model state that the round started from.'),
      nextModelHash: hash('The model state that the study goes on from.'),
    }),
  ),
  'round.aborted': event(
    'round.aborted',
    'round',
    'An attempt ended without opening a sum.',
    closed('Why.', {
      reason: code,
      retried: { type: 'boolean', description: 'Whether another attempt follows.' },
    }),
  ),
} as const satisfies Readonly<Record<string, JsonSchema>>;
