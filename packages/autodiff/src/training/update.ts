import { MedleyError } from '@medley/kit';
import type { RuntimeTensor } from '../session.ts';
import type { TrainingManifest } from './manifest.ts';

/** What an update takes beside parameters, slots and data, where the training was built for it. */
export interface UpdateVectors {
  /** The weights that the silos started from, [trainableCount]; for a training with `proximal` only. */
  readonly globalParameters?: Float32Array;
  /** What is added to the gradient, [trainableCount]; for a training with `control` only. */
  readonly control?: Float32Array;
}

const GIVEN: Readonly<Record<string, keyof UpdateVectors>> = {
  global_parameters: 'globalParameters',
  control: 'control',
};

/**
 * The further vectors of an update. Throws MODEL_PARAMETERS_MISMATCH for another length and
 * TRAINING_OPTIONS_INVALID where one is missing or given to a training that was not built for it.
 */
export function vectorFeeds(
  { vectors = [], trainableCount }: TrainingManifest,
  call: UpdateVectors,
): Record<string, RuntimeTensor> {
  for (const [name, option] of Object.entries(GIVEN)) {
    if (vectors.includes(name) === (call[option] !== undefined)) continue;
    const fault = call[option] === undefined ? 'takes' : 'was built without';
    throw new MedleyError('TRAINING_OPTIONS_INVALID', `this training ${fault} ${option}`);
  }
  const feeds = vectors.map((name) => {
    const data = call[GIVEN[name]!]!;
    if (!(data instanceof Float32Array) || data.length !== trainableCount) {
      throw new MedleyError(
        'MODEL_PARAMETERS_MISMATCH',
        `${name} has ${data.length} elements, not ${trainableCount}`,
      );
    }
    return [name, { dtype: 'float32', dims: [trainableCount], data }] as const;
  });
  return Object.fromEntries(feeds);
}

/** Zeros for the further vectors, for a run in which no update is made. */
export function noVectors({ vectors = [], trainableCount }: TrainingManifest): UpdateVectors {
  return Object.fromEntries(
    vectors.map((name) => [GIVEN[name]!, new Float32Array(trainableCount)]),
  );
}

/** The learning rates of `steps` updates. Throws TRAINING_OPTIONS_INVALID. */
export function rateFeed(rate: number | Float64Array, steps: number): RuntimeTensor {
  const data = typeof rate === 'number' ? new Float64Array(steps).fill(rate) : rate;
  if (data.length !== steps || !data.every(Number.isFinite)) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      `learningRate must be finite: one number, or one for each of ${steps} updates`,
    );
  }
  return { dtype: 'float64', dims: [steps], data };
}
