import {
  gaussianNoise,
  initialSlots,
  poissonLots,
  type Lots,
  type Trainer,
  type TrainingState,
} from '@medley/autodiff';
import { MedleyError, uniformInt, type Rng } from '@medley/kit';
import type { RecordTerms, TrainingPlan } from '@medley/study';
import {
  checkpoint,
  nextChunk,
  type Descended,
  type Examples,
  type Supervision,
} from './descent.ts';

/** DP-SGD of one round on this site's patients. */
export interface PrivateDescent {
  /** Of a training with `privacy`. */
  readonly trainer: Trainer;
  readonly plan: TrainingPlan;
  readonly terms: RecordTerms;
  readonly start: Float32Array;
  readonly examples: Examples;
  /** Places of each patient's rows among the examples. */
  readonly patients: readonly (readonly number[])[];
  /** Draws lots and noise; cryptographic outside tests. */
  readonly rng: Rng;
}

/** Bytes of noise that are held at once. */
const NOISE_BYTES = 32 * 2 ** 20;

/**
 * Noised updates from `start` (Abadi et al. 2016, algorithm 1) in chunks, as `descend` makes plain
 * ones. In each step every patient is drawn with the charter's probability; each row's gradient is
 * clipped, and a patient counts with one row a step, so that a patient adds at most the clip norm to
 * the sum, however many rows there are. The noised sum is divided by the charter's lot size: nothing in
 * what comes out depends on the number of patients but through the sum. `meanLoss` has no noise and
 * is for this site's eyes. Throws as `descend` does, and TRAINING_PRIVACY_ROWS for a model of a fixed
 * number of rows.
 */
export async function descendPrivately(
  descent: PrivateDescent,
  watch: Supervision,
): Promise<Descended> {
  const { trainer, plan, terms, examples, patients, rng } = descent;
  const { manifest } = trainer;
  if (typeof manifest.inputs[0]?.shape[0] === 'number')
    throw new MedleyError('TRAINING_PRIVACY_ROWS', 'lots differ in size, and the model takes one');
  const { steps, samplingRate: rate, clipNorm, lotSize } = terms;
  const hyperparameters = { ...manifest.hyperparameters, clip_norm: clipNorm, lot_size: lotSize };
  const perRun = Math.max(1, Math.floor(NOISE_BYTES / (4 * manifest.trainableCount)));
  let state: TrainingState = {
    parameters: descent.start,
    slots: initialSlots(manifest),
    stepCount: 0,
  };
  let lossSum = 0;
  let chunkSteps = 1;
  for (let done = 0; done < steps;) {
    await checkpoint(watch);
    const count = Math.min(chunkSteps, perRun, steps - done);
    const startMs = watch.clock.nowMs();
    const lots = poissonLots(rng, { rows: patients.length, rate, steps: count });
    const { losses, ...next } = await trainer.epoch({
      ...state,
      ...examples,
      ...rowsOfLots(lots, patients, rng),
      hyperparameters,
      learningRate: plan.learningRate,
      noise: gaussianNoise(rng, count * manifest.trainableCount, terms.noise.training * clipNorm),
    });
    state = next;
    done += count;
    lossSum += losses.reduce((sum, loss) => sum + loss, 0);
    chunkSteps = nextChunk(chunkSteps, watch.clock.nowMs() - startMs);
    watch.onProgress?.({ done, total: steps });
  }
  return { parameters: state.parameters, meanLoss: lossSum / steps };
}

/**
 * Lots of rows from lots of patients: each patient that was drawn counts with one of their rows, drawn
 * anew. (Weights would not do: the engine clips a row's gradient after it is weighted.) The same
 * guarantee as for patients of one row, because Rényi divergence is quasi-convex: a contribution drawn
 * from vectors within the clip norm is no worse than the worst of them.
 */
export function rowsOfLots(
  lots: Pick<Lots, 'order' | 'sampleWeights' | 'batchSize'>,
  patients: readonly (readonly number[])[],
  rng: Rng,
): Pick<Lots, 'order' | 'sampleWeights' | 'batchSize'> {
  const { sampleWeights, batchSize } = lots;
  const order = lots.order.map((patient) => {
    const rows = patients[patient]!;
    return rows.length === 1 ? rows[0]! : rows[uniformInt(rng, rows.length)]!;
  });
  return { order, sampleWeights, batchSize };
}
