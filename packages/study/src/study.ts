import { MedleyError, isMedleyError, parseYaml, timestamp, type Located } from '@medley/kit';
import { STUDY_SCHEMA } from './schema.ts';

/** A number column; `range` is inclusive and in `unit`, before `transform`. */
export interface NumberFeature {
  readonly name: string;
  readonly type: 'number';
  readonly unit?: string;
  readonly range: readonly [low: number, high: number];
  readonly transform: 'none' | 'log1p';
}

/** A category column; its first level is the reference and has no indicator. */
export interface CategoryFeature {
  readonly name: string;
  readonly type: 'category';
  readonly categories: readonly string[];
}

export type Feature = NumberFeature | CategoryFeature;

/** `event-within`: 1 if the event came at most `horizonDays` after time zero. `binary`: a 0/1 column. */
export type Outcome =
  | {
      readonly kind: 'event-within';
      readonly event: string;
      readonly time: string;
      readonly horizonDays: number;
    }
  | { readonly kind: 'binary'; readonly column: string };

/** Local optimizer; its state lives for one round. */
export type OptimizerChoice =
  { readonly kind: 'sgd'; readonly momentum: number } | { readonly kind: 'adam' };

/** What one silo does in one round; exactly one of `localEpochs` and `localSteps` is there. */
export interface TrainingPlan {
  readonly loss: 'bce_with_logits';
  readonly optimizer: OptimizerChoice;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly localEpochs?: number;
  readonly localSteps?: number;
  readonly standardise: boolean;
}

/** A study file as read: every default filled in, every cross-check passed. */
export interface Study {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Study';
  readonly name: string;
  readonly title: string;
  readonly purpose: { readonly text: string; readonly legalBasis: string };
  /** RFC 3339, UTC, milliseconds. */
  readonly expires: string;
  readonly cohort: { readonly minPatients: number };
  readonly features: readonly Feature[];
  readonly outcome: Outcome;
  readonly split: { readonly train: number; readonly seed: string };
  readonly model: { readonly file: string; readonly input: string; readonly output: string };
  readonly training: TrainingPlan;
  readonly strategy: { readonly kind: 'fedavg' };
  readonly rounds: {
    readonly count: number;
    readonly maxAttempts: number;
    readonly stepSeconds: number;
    readonly trainingSeconds: number;
  };
  readonly clipping: { readonly normL2: number; readonly coordinate: number };
  readonly secureAggregation: {
    readonly threshold?: number;
    readonly minSurvivors?: number;
    readonly bits: number;
    readonly weightCap: number;
  };
  readonly evaluation: { readonly scoreBins: number };
}

/** Bytes of a study file; above it nobody has written one by hand. */
const MAX_STUDY_BYTES = 1 << 20;

interface WrittenFeature {
  readonly name: string;
  readonly type: 'number' | 'category';
  readonly unit?: string;
  readonly range?: [number, number];
  readonly transform?: 'none' | 'log1p';
  readonly categories?: string[];
}

type Written = Omit<Study, 'features' | 'outcome' | 'training'> & {
  readonly features: readonly WrittenFeature[];
  readonly outcome: { readonly kind: Outcome['kind'] } & Readonly<Record<string, unknown>>;
  readonly training: Omit<TrainingPlan, 'optimizer'> & {
    readonly optimizer: { readonly kind: 'sgd' | 'adam'; readonly momentum?: number };
  };
};

type Fault = (path: readonly (string | number)[], what: string) => void;

/**
 * Reads a study file. `source` names it in messages. Throws STUDY_FILE_INVALID listing every fault
 * as `source:line: what`.
 */
export function readStudy(bytes: Uint8Array, source: string): Study {
  if (bytes.length > MAX_STUDY_BYTES) {
    throw new MedleyError(
      'STUDY_FILE_INVALID',
      `${source} is larger than ${MAX_STUDY_BYTES} bytes`,
    );
  }
  const written = parse(bytes, source);
  const faults: string[] = [];
  const fault: Fault = (path, what) =>
    faults.push(`${source}:${written.lineOf(path)}: ${path.join('.')} ${what}`);
  const study = resolve(written.value, fault);
  if (faults.length > 0) throw new MedleyError('STUDY_FILE_INVALID', faults.join('; '));
  return study;
}

function parse(bytes: Uint8Array, source: string): Located<Written> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return parseYaml<Written>(text, source, STUDY_SCHEMA, 'STUDY_FILE_INVALID');
  } catch (cause) {
    if (isMedleyError(cause)) throw cause;
    // Not UTF-8, or nested so deeply that the parser ran out of stack.
    throw new MedleyError('STUDY_FILE_INVALID', `${source} cannot be read as YAML`, { cause });
  }
}

function resolve(written: Written, fault: Fault): Study {
  const { features, outcome, training, ...rest } = written;
  const expiresMs = Date.parse(rest.expires);
  if (Number.isNaN(expiresMs)) fault(['expires'], 'is not a date of the calendar');
  const study: Study = {
    ...rest,
    expires: Number.isNaN(expiresMs) ? rest.expires : timestamp(expiresMs),
    features: features.map((feature, i) => resolveFeature(feature, ['features', i], fault)),
    outcome: resolveOutcome(outcome, fault),
    training: resolveTraining(training, fault),
  };
  checkColumns(study, fault);
  if (study.clipping.coordinate > study.clipping.normL2) {
    fault(['clipping', 'coordinate'], 'must not be above clipping.normL2');
  }
  return study;
}

function resolveFeature(
  written: WrittenFeature,
  path: readonly (string | number)[],
  fault: Fault,
): Feature {
  const { name, unit, range, transform, categories } = written;
  if (written.type === 'category') {
    for (const key of ['unit', 'range', 'transform'] as const) {
      if (written[key] !== undefined) fault([...path, key], 'belongs to a number, not a category');
    }
    if (!categories) fault(path, 'is a category and needs categories');
    return { name, type: 'category', categories: categories ?? [] };
  }
  if (categories) fault([...path, 'categories'], 'belong to a category, not a number');
  if (!range) fault(path, 'is a number and needs a range');
  const [low, high] = range ?? [0, 1];
  if (!(low < high)) fault([...path, 'range'], 'must have its lower end below its upper end');
  if (!Number.isFinite(high - low)) fault([...path, 'range'], 'is too wide');
  if (transform === 'log1p' && low <= -1) fault([...path, 'range'], 'must lie above -1 for log1p');
  return {
    name,
    type: 'number',
    ...(unit === undefined ? {} : { unit }),
    range: [low, high],
    transform: transform ?? 'none',
  };
}

const OUTCOME_KEYS = {
  'event-within': ['event', 'time', 'horizonDays'],
  binary: ['column'],
} as const;

function resolveOutcome(written: Written['outcome'], fault: Fault): Outcome {
  const mine: readonly string[] = OUTCOME_KEYS[written.kind];
  for (const key of mine) {
    if (written[key] === undefined) fault(['outcome'], `of kind ${written.kind} needs ${key}`);
  }
  for (const key of Object.keys(written)) {
    if (key !== 'kind' && !mine.includes(key)) {
      fault(['outcome', key], `does not belong to an outcome of kind ${written.kind}`);
    }
  }
  // The schema admits exactly these keys with these types, and those missing are faults above.
  return written as unknown as Outcome;
}

function resolveTraining(written: Written['training'], fault: Fault): TrainingPlan {
  const { optimizer, ...rest } = written;
  if ((rest.localEpochs === undefined) === (rest.localSteps === undefined)) {
    fault(['training'], 'needs exactly one of localEpochs and localSteps');
  }
  if (optimizer.kind === 'adam' && optimizer.momentum !== undefined) {
    fault(['training', 'optimizer', 'momentum'], 'belongs to sgd');
  }
  return {
    ...rest,
    optimizer:
      optimizer.kind === 'sgd'
        ? { kind: 'sgd', momentum: optimizer.momentum ?? 0 }
        : { kind: 'adam' },
  };
}

/** No column twice, and none that is both input and answer: that would leak the outcome. */
function checkColumns(study: Study, fault: Fault): void {
  const seen = new Set<string>();
  study.features.forEach((feature, i) => {
    if (seen.has(feature.name)) fault(['features', i, 'name'], 'names a column twice');
    seen.add(feature.name);
  });
  for (const name of outcomeColumns(study)) {
    if (seen.has(name)) fault(['outcome'], `column ${name} is also a feature`);
  }
  const { outcome } = study;
  if (outcome.kind === 'event-within' && outcome.event === outcome.time) {
    fault(['outcome', 'time'], 'must be another column than outcome.event');
  }
}

/** Columns of the dataset that the outcome is read from. */
export function outcomeColumns(study: Study): readonly string[] {
  const { outcome } = study;
  return outcome.kind === 'binary' ? [outcome.column] : [outcome.event, outcome.time];
}

/** Every column that the study touches: features in order, then the outcome's. */
export function touchedColumns(study: Study): readonly string[] {
  return [...study.features.map((feature) => feature.name), ...outcomeColumns(study)];
}

/** One column of the model's input. */
export interface EncodedColumn {
  /** `age`, or `menopause=post` for an indicator. */
  readonly name: string;
  readonly feature: string;
  /** The level that an indicator stands for. */
  readonly category?: string;
  /** Numbers are standardised when the study standardises; indicators never are. */
  readonly standardise: boolean;
}

/** Columns of the model's input in order. */
export function encodedColumns(study: Study): readonly EncodedColumn[] {
  return study.features.flatMap((feature): EncodedColumn[] =>
    feature.type === 'number'
      ? [{ name: feature.name, feature: feature.name, standardise: study.training.standardise }]
      : feature.categories.slice(1).map((category) => ({
          name: `${feature.name}=${category}`,
          feature: feature.name,
          category,
          standardise: false,
        })),
  );
}

/** Width of the model's input. */
export function featureCount(study: Study): number {
  return study.features.reduce(
    (count, feature) => count + (feature.type === 'number' ? 1 : feature.categories.length - 1),
    0,
  );
}
