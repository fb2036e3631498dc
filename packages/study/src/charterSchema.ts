import type { JsonSchema } from '@medley/kit';
import { NAME_PATTERN } from './schema.ts';

const closed = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
});
const hash: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const name: JsonSchema = { type: 'string', pattern: NAME_PATTERN };
const instant: JsonSchema = {
  type: 'string',
  pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$',
};
const positive: JsonSchema = { type: 'number', exclusiveMinimum: 0 };
const count = (minimum: number, maximum: number): JsonSchema => ({
  type: 'integer',
  minimum,
  maximum,
});

/** JSON Schema 2020-12 of a charter's shape; its safety rules are in floors.ts. */
export const CHARTER_SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Medley charter',
  ...closed({
    medley: { const: 'charter/v1' },
    consortium: name,
    study: name,
    version: { const: 1 },
    title: { type: 'string', minLength: 1, maxLength: 200 },
    files: closed({ study: hash, model: hash }),
    roster: {
      type: 'array',
      maxItems: 200,
      items: closed({
        index: count(1, 200),
        silo: name,
        // 32 bytes are 43 digits and one sign of padding.
        identityKey: { type: 'string', pattern: '^[A-Za-z0-9+/]{43}=$' },
      }),
    },
    secureAggregation: closed({
      suite: { const: 1 },
      protocolVersion: { const: 2 },
      ringBits: { enum: [32, 16, 12] },
      rotation: { type: 'boolean' },
      threshold: count(1, 200),
      minSurvivors: count(1, 200),
      maxAttempts: count(1, 100),
      bits: count(4, 28),
      weightCap: count(1, 134_217_727),
    }),
    clipping: closed({ normL2: positive, coordinate: positive }),
    rounds: closed({ count: count(1, 100_000), stepSeconds: positive, trainingSeconds: positive }),
    cohort: closed({ minPatients: count(1, 100_000_000) }),
    modelParameters: count(1, 2 ** 28),
    log: closed({
      origin: { type: 'string', minLength: 1, maxLength: 200 },
      verifierKey: { type: 'string', minLength: 1, maxLength: 400 },
    }),
    created: instant,
    expires: instant,
  }),
};
