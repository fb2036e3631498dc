import type { JsonSchema } from '@medley/kit';
import { NAME_PATTERN } from './schema.ts';

const closed = (
  properties: Readonly<Record<string, JsonSchema>>,
  optional: readonly string[] = [],
): JsonSchema => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties).filter((key) => !optional.includes(key)),
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

const noise: JsonSchema = { type: 'number', minimum: 0, maximum: 1e7 };
const privacyTerms = {
  adjacency: { const: 'addRemove' },
  accountant: { const: 'rdp/1' },
  epsilon: { type: 'number', exclusiveMinimum: 0, maximum: 1e6 },
  delta: { type: 'number', exclusiveMinimum: 0, maximum: 0.01 },
};
/** See privacy.ts for what the terms mean. */
const privacy: JsonSchema = {
  oneOf: [
    closed({
      ...privacyTerms,
      level: { const: 'record' },
      unit: { enum: ['patient', 'record'] },
      clipNorm: positive,
      samplingRate: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
      lotSize: count(1, 65_536),
      steps: count(1, 1_000_000),
      noise: closed({ training: positive, statistics: noise, evaluation: positive }),
    }),
    closed({
      ...privacyTerms,
      level: { const: 'silo' },
      unit: { const: 'silo' },
      honest: { type: 'integer', maximum: 200 },
      variance: count(1, Number.MAX_SAFE_INTEGER),
    }),
  ],
};

/** JSON Schema 2020-12 of a charter's shape; its safety rules are in floors.ts. */
export const CHARTER_SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Medley charter',
  ...closed(
    {
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
        // Studies of version 1 can be read, so that their records stay; checkTerms lets none of them run.
        protocolVersion: { enum: [1, 2] },
        ringBits: { enum: [32, 16, 12] },
        rotation: { type: 'boolean' },
        threshold: count(1, 200),
        minSurvivors: count(1, 200),
        maxAttempts: count(1, 100),
        bits: count(4, 28),
        weightCap: count(1, 134_217_727),
      }),
      clipping: closed({ normL2: positive, coordinate: positive }),
      rounds: closed({
        count: count(1, 100_000),
        stepSeconds: positive,
        trainingSeconds: positive,
      }),
      cohort: closed({ minPatients: count(1, 100_000_000) }),
      modelParameters: count(1, 2 ** 28),
      privacy,
      log: closed({
        origin: { type: 'string', minLength: 1, maxLength: 200 },
        verifierKey: { type: 'string', minLength: 1, maxLength: 400 },
      }),
      created: instant,
      expires: instant,
    },
    ['privacy'],
  ),
};
