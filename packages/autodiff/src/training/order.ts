import { MedleyError } from '@medley/kit';
import type { Rows } from './feed.ts';
import type { TrainingManifest } from './manifest.ts';

/** Which rows the updates of a run take. */
interface Batches {
  readonly order: Int32Array;
  readonly batchSize: number;
  readonly sampleWeights?: Float32Array;
}

/** `given`, or 1 for each of `count` rows. Throws TRAINING_DATA_INVALID for negative or infinite ones. */
export function weightsOf(given: Float32Array | undefined, count: number): Float32Array {
  if (given === undefined) return new Float32Array(count).fill(1);
  if (given.length !== count || given.some((weight) => !(weight >= 0 && weight < Infinity))) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `sampleWeights must be ${count} finite numbers from 0`,
    );
  }
  return given;
}

/**
 * The order cut into whole batches: a short last one is filled with rows of weight 0. Throws
 * TRAINING_OPTIONS_INVALID for a batch that the model or the data do not allow, TRAINING_DATA_INVALID
 * for an order that names rows which are not there.
 */
export function batches(call: Batches, rows: Rows, manifest: TrainingManifest) {
  const { order, batchSize } = call;
  const fixed = manifest.inputs[0]?.shape[0];
  if (
    !Number.isSafeInteger(batchSize) ||
    batchSize < 1 ||
    (typeof fixed === 'number' && fixed !== batchSize)
  ) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      `batchSize must be ${fixed ?? 'a whole number from 1'}`,
    );
  }
  // Lots of a private training differ in size and may be filled up beyond the data.
  if (batchSize > rows.count && typeof fixed !== 'number' && manifest.privacy === undefined) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      `a batch of ${batchSize} rows is larger than the data of ${rows.count}`,
    );
  }
  if (order.length === 0 || order.some((row) => row < 0 || row >= rows.count)) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `order must hold row indices from 0 to ${rows.count - 1}`,
    );
  }
  const steps = Math.ceil(order.length / batchSize);
  const weights = weightsOf(call.sampleWeights, order.length);
  if (order.length === steps * batchSize) return { order, weights, steps };
  const fullOrder = new Int32Array(steps * batchSize).fill(order[0]!);
  const fullWeights = new Float32Array(steps * batchSize);
  fullOrder.set(order);
  fullWeights.set(weights);
  return { order: fullOrder, weights: fullWeights, steps };
}
