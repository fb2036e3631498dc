import type { PrivacyPlan } from './privacy.ts';

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
  readonly split: {
    readonly train: number;
    readonly seed: string;
    /** `hash`: each patient by itself; absent: a shuffle of all rows. */
    readonly method?: 'hash';
  };
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
    readonly ringBits: 32 | 16 | 12;
    readonly rotation: boolean;
    readonly weightCap: number;
  };
  /** Absent: only sums that cannot be are refused. */
  readonly gates?: {
    /** Part by which the test loss may rise over one update. */
    readonly lossRise: number;
    /** How far the AUC may fall over one update. */
    readonly aucDrop: number;
    /** Least cosine between an update and the last one. */
    readonly cosine: number;
  };
  readonly evaluation: { readonly scoreBins: number };
  /** Absent: no differential privacy. */
  readonly privacy?: PrivacyPlan;
}

/** The column that tells patients apart, where the study names one. */
export function patientColumn({ privacy }: Study): string | undefined {
  return privacy?.level === 'record' ? privacy.patientColumn : undefined;
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
