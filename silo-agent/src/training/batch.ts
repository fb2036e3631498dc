import { permutation, type Rng } from '@medley/kit';
import type { TrainingPlan } from '@medley/study';

/** Optimizer steps that one round of local training takes over `rows` training rows. */
export function localSteps(plan: TrainingPlan, rows: number): number {
  return plan.localSteps ?? (plan.localEpochs ?? 1) * Math.ceil(rows / plan.batchSize);
}

/**
 * Orders of row numbers 0…rows−1 for `steps` steps: one permutation an epoch, whose last batch may
 * be smaller; the last epoch ends where the steps do.
 */
export function* epochOrders(
  rng: Rng,
  rows: number,
  batchSize: number,
  steps: number,
): Generator<Int32Array> {
  for (let left = steps; left > 0; left -= Math.ceil(rows / batchSize)) {
    yield permutation(rng, rows).subarray(0, left * batchSize);
  }
}
