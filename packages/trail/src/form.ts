import type { JsonSchema } from '@medley/kit';

/** Parts that the schemas of events are made of. */

export const text = (description: string, maxLength = 200): JsonSchema => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
});
export const matching = (pattern: string, description: string): JsonSchema => ({
  type: 'string',
  pattern,
  description,
});
export const closed = (
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
export const name = (description: string) => matching(NAME, description);
export const hash = (description: string) => matching('^[0-9a-f]{64}$', description);
export const instant = (description: string) =>
  matching(
    '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$',
    `${description} (RFC 3339, UTC)`,
  );
export const identifier = (description: string) => matching('^[A-Za-z0-9_-]{1,128}$', description);
export const serial = matching('^[0-9A-Fa-f]{1,64}$', 'Serial number of the certificate, hex.');
export const silo = name('The silo concerned.');

export const count = (minimum: number, description: string): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum: 1_000_000,
  description,
});
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

export function event(
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
