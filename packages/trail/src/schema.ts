import type { JsonSchema } from '@medley/kit';
import { CHARTER_SCHEMA } from '@medley/study';

const text = (description: string, maxLength = 200): JsonSchema => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
});
const matching = (pattern: string, description: string): JsonSchema => ({
  type: 'string',
  pattern,
  description,
});
const closed = (
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema => ({
  type: 'object',
  description,
  additionalProperties: false,
  required: Object.keys(properties).filter((key) => !optional.includes(key)),
  properties,
});

const NAME = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
const name = (description: string) => matching(NAME, description);
const hash = (description: string) => matching('^[0-9a-f]{64}$', description);
const instant = (description: string) =>
  matching(
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$',
    `${description} (RFC 3339, UTC)`,
  );
const identifier = (description: string) => matching('^[A-Za-z0-9_-]{1,128}$', description);
const serial = matching('^[0-9A-Fa-f]{1,64}$', 'Serial number of the certificate, hex.');
const code = matching('^[A-Z][A-Z0-9_]{1,63}$', 'Code of the error catalogue.');
const step = matching('^[A-Za-z][A-Za-z-]{0,39}$', 'Step of the protocol.');
const silo = name('The silo concerned.');
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

const count = (minimum: number, description: string): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum: 1_000_000,
  description,
});
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

const scopes = {
  consortium: { properties: {}, optional: [] },
  study: { properties: { study: name('Name of the study.') }, optional: [] },
  round: {
    properties: {
      study: name('Name of the study.'),
      round: count(0, 'Number of the round, from 0.'),
      attempt: count(1, 'Attempt at the round, from 1.'),
    },
    optional: [],
  },
  any: {
    properties: {
      study: name('Name of the study.'),
      round: count(0, 'Number of the round, from 0.'),
      attempt: count(1, 'Attempt at the round, from 1.'),
    },
    optional: ['study', 'round', 'attempt'],
  },
} as const;

function event(
  type: string,
  scope: keyof typeof scopes,
  description: string,
  data: JsonSchema,
): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: type,
    ...closed(
      description,
      {
        v: { const: 1 },
        type: { const: type },
        at: instant('When the aggregator recorded it'),
        consortium: name('Name of the consortium.'),
        actor: closed('Who did it.', {
          kind: { enum: ['operator', 'silo', 'aggregator'] },
          id: text('Name of the silo or operator, or `aggregator`.'),
        }),
        outcome: { enum: ['ok', 'refused', 'failed'] },
        ...scopes[scope].properties,
        data,
      },
      scopes[scope].optional,
    ),
  };
}

/** JSON Schema 2020-12 of each type of event; docs/events.md is generated from it. */
export const EVENT_SCHEMAS = {
  'consortium.created': event(
    'consortium.created',
    'consortium',
    'The consortium and its log began.',
    closed('Keys of the consortium.', {
      caPin: matching('^[A-Za-z0-9_+/=-]{32,96}$', 'SHA-256 of the authority’s public key.'),
      logKey: text('Verifier key of the log (C2SP signed-note).', 400),
    }),
  ),
  'silo.invited': event(
    'silo.invited',
    'consortium',
    'An operator invited a hospital.',
    closed('The invitation; its token is not recorded.', {
      silo,
      invitationId: identifier('Public part of the invitation.'),
      expires: instant('End of the invitation'),
    }),
  ),
  'silo.requested': event(
    'silo.requested',
    'consortium',
    'An invited hospital handed in its keys.',
    closed('The request.', {
      silo,
      requestId: identifier('The request.'),
      identityKeyHash: hash('SHA-256 of the raw identity key.'),
    }),
  ),
  'silo.approved': event(
    'silo.approved',
    'consortium',
    'An operator approved a hospital after comparing fingerprints.',
    closed('The approval.', {
      silo,
      requestId: identifier('The request.'),
      certificateSerial: serial,
      identityKeyHash: hash('SHA-256 of the raw identity key.'),
    }),
  ),
  'silo.refused': event(
    'silo.refused',
    'consortium',
    'An operator refused a hospital.',
    closed('The refusal.', {
      silo,
      requestId: identifier('The request.'),
      reason: text('Why.', 1000),
    }),
  ),
  'silo.revoked': event(
    'silo.revoked',
    'consortium',
    'A hospital’s certificate was revoked.',
    closed('The revocation.', { silo, certificateSerial: serial, reason: text('Why.', 1000) }),
  ),
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
    closed('The fault.', { silo, step, code }),
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
