import type { JsonSchema } from '@medley/kit';
import { PRIVACY_SCHEMA } from './privacy.ts';

/** A name that may stand in a path, a certificate and a URL. */
export const NAME_PATTERN = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
const COLUMN_PATTERN = '^[A-Za-z][A-Za-z0-9_.-]{0,62}$';
const INSTANT_PATTERN =
  '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\\.[0-9]{1,3})?Z$';

const column = (description: string): JsonSchema => ({
  type: 'string',
  pattern: COLUMN_PATTERN,
  description,
});

const closed = (
  description: string,
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = Object.keys(properties),
): JsonSchema => ({
  type: 'object',
  description,
  additionalProperties: false,
  required,
  properties,
});

const feature: JsonSchema = {
  ...closed(
    'One input of the model: a number with its range, or a category with its levels.',
    {
      name: column('Column of the dataset.'),
      type: { enum: ['number', 'category'] },
      unit: { type: 'string', minLength: 1, maxLength: 32, description: 'UCUM unit of a number.' },
      range: {
        type: 'array',
        items: { type: 'number' },
        minItems: 2,
        maxItems: 2,
        description: 'Lowest and highest admissible value of a number; rows outside are an error.',
      },
      transform: {
        enum: ['none', 'log1p'],
        description: 'Applied to a number before standardisation; none when absent.',
      },
      categories: {
        type: 'array',
        items: { type: 'string', minLength: 1, maxLength: 64 },
        minItems: 2,
        maxItems: 256,
        uniqueItems: true,
        description: 'Levels; the first is the reference, each other one is an indicator column.',
      },
    },
    ['name', 'type'],
  ),
};

const outcome: JsonSchema = closed(
  'What the model predicts: an event within a horizon, or a 0/1 column.',
  {
    kind: { enum: ['event-within', 'binary'] },
    event: column('1 when the event was seen, 0 when follow-up ended without it.'),
    time: column('Days to the event or to the end of follow-up.'),
    horizonDays: { type: 'number', exclusiveMinimum: 0, maximum: 36_525 },
    column: column('0 or 1.'),
  },
  ['kind'],
);

const optimizer: JsonSchema = closed(
  'Local optimizer; its state lives for one round.',
  {
    kind: { enum: ['sgd', 'adam'] },
    momentum: { type: 'number', minimum: 0, exclusiveMaximum: 1, description: 'sgd only; 0.' },
  },
  ['kind'],
);

const training: JsonSchema = closed(
  'What one silo does in one round.',
  {
    loss: { const: 'bce_with_logits' },
    optimizer,
    learningRate: { type: 'number', exclusiveMinimum: 0, maximum: 100 },
    batchSize: { type: 'integer', minimum: 1, maximum: 65_536 },
    localEpochs: { type: 'integer', minimum: 1, maximum: 1000 },
    localSteps: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    standardise: {
      type: 'boolean',
      default: true,
      description: 'Numbers are centred and scaled by federated mean and standard deviation.',
    },
  },
  ['loss', 'optimizer', 'learningRate', 'batchSize'],
);

const secureAggregation: JsonSchema = {
  ...closed(
    'Parameters of the secure aggregation. Floors of the consortium apply on top.',
    {
      threshold: { type: 'integer', minimum: 2, maximum: 200 },
      minSurvivors: { type: 'integer', minimum: 3, maximum: 200 },
      bits: { type: 'integer', minimum: 4, maximum: 28, default: 22 },
      ringBits: {
        enum: [32, 16, 12],
        default: 32,
        description:
          'Width of the words that updates travel in: n silos of b bits need n·2^(b−1) < 2^(ringBits−1).',
      },
      rotation: {
        type: 'boolean',
        default: false,
        description:
          'Spread each update by a seeded random rotation before quantising; clipping.coordinate then bounds the rotated coordinates.',
      },
      weightCap: {
        type: 'integer',
        minimum: 1,
        maximum: 134_217_727,
        default: 5000,
        description: 'Most rows that one silo may contribute.',
      },
    },
    [],
  ),
  default: {},
};

const rounds: JsonSchema = closed(
  'How many training rounds, and how long a step may take.',
  {
    count: { type: 'integer', minimum: 1, maximum: 100_000 },
    maxAttempts: { type: 'integer', minimum: 1, maximum: 100, default: 3 },
    stepSeconds: { type: 'number', minimum: 1, maximum: 86_400, default: 30 },
    trainingSeconds: { type: 'number', minimum: 1, maximum: 604_800, default: 600 },
  },
  ['count'],
);

const gates: JsonSchema = {
  ...closed(
    'When a round is not let move the model; without this section only sums that cannot be are refused.',
    {
      lossRise: {
        type: 'number',
        minimum: 0,
        maximum: 1000,
        default: 0.5,
        description:
          'The test loss may rise by this part of what it was before the last update; beyond, the update is taken back.',
      },
      aucDrop: {
        type: 'number',
        minimum: 0,
        maximum: 1,
        default: 0.1,
        description: 'The AUC on the test rows may fall by this much; beyond, likewise.',
      },
      cosine: {
        type: 'number',
        minimum: -1,
        maximum: 1,
        default: -0.9,
        description:
          'Least cosine of the angle between an update and the last one; below, it is not applied.',
      },
    },
    [],
  ),
};

/**
 * JSON Schema 2020-12 of the study file, published as docs/schemas/study.schema.json. What it cannot
 * say (which keys belong to which kind, order of ranges) {@link readStudy} checks beside it.
 */
export const STUDY_SCHEMA: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Medley study file',
  ...closed(
    'What a consortium trains, on which columns, under which protection.',
    {
      apiVersion: { const: 'medley/v1' },
      kind: { const: 'Study' },
      name: { type: 'string', pattern: NAME_PATTERN },
      title: { type: 'string', minLength: 1, maxLength: 200 },
      purpose: closed('Why the data may be used.', {
        text: { type: 'string', minLength: 1, maxLength: 4000 },
        legalBasis: { type: 'string', minLength: 1, maxLength: 400 },
      }),
      expires: {
        type: 'string',
        pattern: INSTANT_PATTERN,
        description: 'RFC 3339 in UTC; no round starts after it.',
      },
      cohort: closed('Who is in.', {
        minPatients: {
          type: 'integer',
          minimum: 1,
          maximum: 100_000_000,
          description: 'Training rows that a silo must have to take part.',
        },
      }),
      features: { type: 'array', items: feature, minItems: 1, maxItems: 4096 },
      outcome,
      split: closed(
        'Which rows train and which test.',
        {
          train: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
          seed: { type: 'string', minLength: 1, maxLength: 200 },
          method: {
            enum: ['shuffle', 'hash'],
            description:
              'shuffle: exactly that share of the rows. hash: each patient by itself, whatever others there are, as privacy of level record needs; shuffle, and hash with such privacy, when absent.',
          },
        },
        ['train', 'seed'],
      ),
      model: closed('A forward ONNX graph beside this file.', {
        file: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' },
        input: { type: 'string', minLength: 1, maxLength: 200 },
        output: { type: 'string', minLength: 1, maxLength: 200, description: 'One logit per row.' },
      }),
      training,
      strategy: closed('How updates become the next model.', { kind: { const: 'fedavg' } }),
      rounds,
      clipping: closed('Bounds on one silo’s update.', {
        normL2: { type: 'number', exclusiveMinimum: 0, maximum: 1e6 },
        coordinate: { type: 'number', exclusiveMinimum: 0, maximum: 1e6 },
      }),
      secureAggregation,
      gates,
      evaluation: {
        ...closed('Federated evaluation on the test rows.', {
          scoreBins: { type: 'integer', minimum: 2, maximum: 10_000, default: 200 },
        }),
        required: [],
        default: {},
      },
      privacy: PRIVACY_SCHEMA,
    },
    [
      'apiVersion',
      'kind',
      'name',
      'title',
      'purpose',
      'expires',
      'cohort',
      'features',
      'outcome',
      'split',
      'model',
      'training',
      'strategy',
      'rounds',
      'clipping',
    ],
  ),
};
