import { MedleyError, type Rng } from '@medley/kit';
import { uniforms } from './noise.ts';

/** Lots of examples for several updates, filled up to one size with rows of weight 0. */
export interface Lots {
  /** Row indices, [steps × batchSize]. */
  readonly order: Int32Array;
  /** 1 for a row of the lot, 0 for a filler, [steps × batchSize]. */
  readonly sampleWeights: Float32Array;
  /** Size of the largest lot, at least 1. */
  readonly batchSize: number;
  /** Size of each lot without fillers; may be 0. A secret of the data holder, as the lots are. */
  readonly sizes: readonly number[];
}

/**
 * Poisson sampling: each of `rows` rows is in each lot with probability `rate`, independently, which
 * is what the accountant of the subsampled Gaussian assumes (Abadi et al. 2016, section 3.1). The rng
 * must be cryptographic. Throws TRAINING_OPTIONS_INVALID for a rate outside (0, 1] or no row.
 */
export function poissonLots(
  rng: Rng,
  { rows, rate, steps }: { readonly rows: number; readonly rate: number; readonly steps: number },
): Lots {
  if (!(rate > 0 && rate <= 1) || !Number.isSafeInteger(rows) || rows < 1) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      'a rate from above 0 to 1 and a row are needed',
    );
  }
  const lots = Array.from({ length: steps }, () => {
    const draws = uniforms(rng, rows);
    return Array.from(draws.keys()).filter((row) => draws[row]! < rate);
  });
  const sizes = lots.map(({ length }) => length);
  const batchSize = Math.max(1, ...sizes);
  const order = new Int32Array(steps * batchSize);
  const sampleWeights = new Float32Array(steps * batchSize);
  lots.forEach((lot, step) => {
    order.set(lot, step * batchSize);
    sampleWeights.fill(1, step * batchSize, step * batchSize + lot.length);
  });
  return { order, sampleWeights, batchSize, sizes };
}
