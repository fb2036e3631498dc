import { MedleyError, isMedleyError, parseYaml, timestamp, type Located } from '@medley/kit';
import { resolvePrivacy, type PrivacyPlan, type WrittenPrivacy } from './privacy.ts';
import { STUDY_SCHEMA } from './schema.ts';
import {
  outcomeColumns,
  type Feature,
  type Outcome,
  type Study,
  type TrainingPlan,
} from './study.ts';

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

type Written = Omit<Study, 'features' | 'outcome' | 'training' | 'split' | 'privacy'> & {
  readonly split: {
    readonly train: number;
    readonly seed: string;
    readonly method?: 'shuffle' | 'hash';
  };
  readonly privacy?: WrittenPrivacy;
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
  const { features, outcome, training, split, privacy, ...rest } = written;
  const expiresMs = Date.parse(rest.expires);
  if (Number.isNaN(expiresMs)) fault(['expires'], 'is not a date of the calendar');
  const study: Study = {
    ...rest,
    expires: Number.isNaN(expiresMs) ? rest.expires : timestamp(expiresMs),
    features: features.map((feature, i) => resolveFeature(feature, ['features', i], fault)),
    outcome: resolveOutcome(outcome, fault),
    training: resolveTraining(training, fault),
    split: resolveSplit(split, privacy, fault),
    ...(privacy && { privacy: planOf(written, privacy, fault) }),
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

function resolveSplit(
  { train, seed, method }: Written['split'],
  privacy: WrittenPrivacy | undefined,
  fault: Fault,
): Study['split'] {
  const isPrivate = privacy?.level === 'record';
  if (isPrivate && method === 'shuffle') {
    fault(
      ['split', 'method'],
      'must be hash with privacy of level record: one patient more would move others',
    );
  }
  return { train, seed, ...((isPrivate || method === 'hash') && { method: 'hash' }) };
}

function planOf(written: Written, privacy: WrittenPrivacy, fault: Fault): PrivacyPlan {
  const { training, cohort, secureAggregation, features, outcome } = written;
  return resolvePrivacy(
    privacy,
    {
      batchSize: training.batchSize,
      localSteps: training.localSteps,
      standardise: training.standardise,
      minPatients: cohort.minPatients,
      weightCap: secureAggregation.weightCap,
      columns: [
        ...features.map(({ name }) => name),
        ...[outcome['column'], outcome['event'], outcome['time']].map(String),
      ],
    },
    fault,
  );
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
