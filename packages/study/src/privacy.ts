import type { JsonSchema } from '@medley/kit';

/** Differential privacy of one patient (or row) within each hospital: DP-SGD. */
export interface RecordPrivacy {
  readonly level: 'record';
  /** Target over all rounds of the study; the noise follows from it. Absent when the noise is given. */
  readonly epsilon?: number;
  /** Noise over clip norm, in place of `epsilon`. */
  readonly noiseMultiplier?: number;
  readonly delta: number;
  /** L2 bound of one patient's gradient. */
  readonly clipNorm: number;
  /** Chance of each patient to be in a lot, in (0, 1]. */
  readonly samplingRate: number;
  /** Column whose equal texts are one patient; without it each row is one. */
  readonly patientColumn?: string;
}

/** Differential privacy of a hospital's whole update: every silo adds its part of the noise. */
export interface SiloPrivacy {
  readonly level: 'silo';
  readonly epsilon?: number;
  /** Noise in the sum over clipping.normL2, in place of `epsilon`. */
  readonly noiseMultiplier?: number;
  readonly delta: number;
}

export type PrivacyPlan = RecordPrivacy | SiloPrivacy;

interface Common {
  readonly adjacency: 'addRemove';
  readonly accountant: 'rdp/1';
  /** Limit of the study at every hospital, at `delta`: the releases of all rounds together. */
  readonly epsilon: number;
  readonly delta: number;
}

/** Signed terms of DP-SGD in every hospital. Nothing in them depends on how many patients one has. */
export interface RecordTerms extends Common {
  readonly level: 'record';
  readonly unit: 'patient' | 'record';
  readonly clipNorm: number;
  readonly samplingRate: number;
  /** What the noised sum of gradients is divided by: the same number everywhere. */
  readonly lotSize: number;
  /** Noised updates in each training round. */
  readonly steps: number;
  /** Standard deviations over the sensitivity; statistics 0 where the study has none. */
  readonly noise: {
    readonly training: number;
    readonly statistics: number;
    readonly evaluation: number;
  };
}

/** Signed terms of noise that silos add to their update before it is masked. */
export interface SiloTerms extends Common {
  readonly level: 'silo';
  readonly unit: 'silo';
  /** Survivors that are honest for certain: minSurvivors less the silos that may collude. */
  readonly honest: number;
  /** μ of the Skellam noise of one silo, in squared quantisation steps; a whole number. */
  readonly variance: number;
}

export type PrivacyTerms = RecordTerms | SiloTerms;

/** The block as it is written; which keys belong to which level the reader checks. */
export interface WrittenPrivacy {
  readonly level: 'record' | 'silo';
  readonly epsilon?: number;
  readonly noiseMultiplier?: number;
  readonly delta: number;
  readonly clipNorm?: number;
  readonly samplingRate?: number;
  readonly patientColumn?: string;
}

/** JSON Schema of the study file's `privacy`. */
export const PRIVACY_SCHEMA: JsonSchema = {
  type: 'object',
  description: 'Differential privacy; a study without this block has none.',
  additionalProperties: false,
  required: ['level', 'delta'],
  properties: {
    level: {
      enum: ['record', 'silo'],
      description:
        'record: noise in every hospital’s training hides each patient (DP-SGD). silo: noise in the sum hides a whole hospital’s update.',
    },
    epsilon: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 1000,
      description: 'Target over all rounds; the noise is calibrated to it.',
    },
    noiseMultiplier: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 10_000,
      description: 'Noise in clip norms, in place of epsilon.',
    },
    delta: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 0.01,
      description: 'Chance at which epsilon may fail; below 1/secureAggregation.weightCap.',
    },
    clipNorm: {
      type: 'number',
      minimum: 1e-6,
      maximum: 1e6,
      description: 'record only: L2 bound of one patient’s gradient.',
    },
    samplingRate: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 1,
      description:
        'record only: chance of each patient to be in a lot; training.batchSize/cohort.minPatients when absent.',
    },
    patientColumn: {
      type: 'string',
      pattern: '^[A-Za-z][A-Za-z0-9_.-]{0,62}$',
      description: 'record only: column whose equal texts are one patient; without it each row is.',
    },
  },
};

type Fault = (path: readonly (string | number)[], what: string) => void;

/** What of the rest of a study file its privacy depends on. */
export interface PrivacyContext {
  readonly batchSize: number;
  readonly localSteps: number | undefined;
  readonly standardise: boolean;
  readonly minPatients: number;
  readonly weightCap: number;
  /** Columns of features and outcome. */
  readonly columns: readonly string[];
}

/** The plan with its defaults; every key in the wrong place or number out of range is a fault. */
export function resolvePrivacy(
  written: WrittenPrivacy,
  context: PrivacyContext,
  fault: Fault,
): PrivacyPlan {
  const at = (key: string, what: string): void => fault(['privacy', key], what);
  const { level, epsilon, noiseMultiplier, delta } = written;
  if ((epsilon === undefined) === (noiseMultiplier === undefined)) {
    fault(['privacy'], 'needs exactly one of epsilon and noiseMultiplier');
  }
  if (delta * context.weightCap >= 1) {
    at('delta', `must be below 1/${context.weightCap}, one in secureAggregation.weightCap`);
  }
  const target = {
    delta,
    ...(epsilon !== undefined && { epsilon }),
    ...(noiseMultiplier !== undefined && { noiseMultiplier }),
  };
  if (level === 'silo') {
    for (const key of ['clipNorm', 'samplingRate', 'patientColumn'] as const) {
      if (written[key] !== undefined) at(key, 'belongs to level record');
    }
    if (context.standardise) {
      fault(
        ['training'],
        'of a study with privacy of level silo needs standardise: false, for sums of rows would need noise that hides a whole hospital',
      );
    }
    return { level, ...target };
  }
  const { clipNorm = 1, patientColumn } = written;
  if (written.clipNorm === undefined) fault(['privacy'], 'of level record needs clipNorm');
  if (context.localSteps === undefined) {
    fault(
      ['training'],
      'of a private study needs localSteps: epochs would tell the number of rows',
    );
  }
  const samplingRate = written.samplingRate ?? context.batchSize / context.minPatients;
  if (samplingRate > 1) {
    fault(['privacy'], 'needs a samplingRate, for batchSize/cohort.minPatients is above 1');
  }
  if (patientColumn !== undefined && context.columns.includes(patientColumn)) {
    at('patientColumn', 'must be no feature and no part of the outcome');
  }
  return {
    level,
    ...target,
    clipNorm,
    samplingRate: Math.min(1, samplingRate),
    ...(patientColumn !== undefined && { patientColumn }),
  };
}

/** The options of DP-SGD that the engine builds its graph with; undefined without it. */
export function clippingOf(
  terms: PrivacyTerms | undefined,
): { readonly clip: number; readonly lotSize: number } | undefined {
  return terms?.level === 'record' ? { clip: terms.clipNorm, lotSize: terms.lotSize } : undefined;
}

/** The same from a study file, before there is a charter. */
export function clippingOfPlan({
  privacy,
  training,
}: {
  readonly privacy?: PrivacyPlan;
  readonly training: { readonly batchSize: number };
}): ReturnType<typeof clippingOf> {
  if (privacy?.level !== 'record') return undefined;
  return { clip: privacy.clipNorm, lotSize: training.batchSize };
}
