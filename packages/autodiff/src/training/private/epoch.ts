import { MedleyError, type Rng } from '@medley/kit';
import type { TrainingManifest } from '../manifest.ts';
import type { EpochCall, Trainer, TrainingState } from '../trainer.ts';
import { poissonLots } from './lots.ts';
import { gaussianNoise } from './noise.ts';

/** Bytes of noise that are held at once. */
const NOISE_BYTES = 32 * 2 ** 20;

/** Updates with noise on lots drawn at random. */
export interface PrivateUpdatesCall extends Omit<
  EpochCall,
  'noise' | 'order' | 'batchSize' | 'sampleWeights'
> {
  /** Number of rows of the data. */
  readonly rows: number;
  /** Number of updates, at least 1. */
  readonly steps: number;
  /** Probability with which each row is in a lot, above 0, at most 1. */
  readonly rate: number;
  /** Standard deviation of the noise in clip norms, above 0. */
  readonly noiseMultiplier: number;
  /** Draws the lots and the noise; kit's `systemRng` outside tests. */
  readonly rng: Rng;
}

/**
 * `steps` updates of DP-SGD (Abadi et al. 2016, algorithm 1): Poisson lots, gradients clipped by
 * example, noise N(0, (noiseMultiplier · clip)²), divided by the expected lot size rate · rows. Lots
 * and noise are made for as many steps at a time as bounded memory allows. The state that comes out is
 * what the accountant speaks of; the losses are not noised and must not leave the data holder.
 *
 * Throws TRAINING_OPTIONS_INVALID, TRAINING_PRIVACY_ROWS for a model of a fixed number of rows, and
 * what {@link Trainer.epoch} throws.
 */
export async function privateUpdates(
  trainer: Trainer,
  call: PrivateUpdatesCall,
): Promise<TrainingState & { readonly losses: Float32Array }> {
  const { manifest } = trainer;
  checkCall(manifest, call);
  const { rows, steps, rate, noiseMultiplier, rng, learningRate, ...rest } = call;
  const hyperparameters: Record<string, number> = {
    ...manifest.hyperparameters,
    ...rest.hyperparameters,
    lot_size: rate * rows,
  };
  const stdDev = noiseMultiplier * hyperparameters['clip_norm']!;
  const rates = typeof learningRate === 'number' ? undefined : learningRate;
  const perRun = Math.max(1, Math.floor(NOISE_BYTES / (4 * manifest.trainableCount)));
  const losses = new Float32Array(steps);
  let state: TrainingState = call;
  for (let done = 0; done < steps; done += perRun) {
    const count = Math.min(perRun, steps - done);
    const lots = poissonLots(rng, { rows, rate, steps: count });
    const next = await trainer.epoch({
      ...rest,
      ...lots,
      ...stateOf(state),
      hyperparameters,
      learningRate: rates?.subarray(done, done + count) ?? learningRate,
      noise: gaussianNoise(rng, count * manifest.trainableCount, stdDev),
    });
    losses.set(next.losses, done);
    state = next;
  }
  return { ...stateOf(state), losses };
}

function checkCall(manifest: TrainingManifest, call: PrivateUpdatesCall): void {
  const { steps, noiseMultiplier, learningRate } = call;
  const isPositive = noiseMultiplier > 0 && noiseMultiplier < Infinity;
  const isRated = typeof learningRate === 'number' || learningRate.length === steps;
  const isCounted = Number.isSafeInteger(steps) && steps >= 1;
  if (manifest.privacy === undefined || !isPositive || !isCounted || !isRated) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      'private updates need a training with privacy, noise above 0 and one rate for at least one step',
    );
  }
  if (typeof manifest.inputs[0]?.shape[0] === 'number')
    throw new MedleyError('TRAINING_PRIVACY_ROWS', 'lots differ in size, and the model takes one');
}

const stateOf = ({ parameters, slots, stepCount }: TrainingState): TrainingState => ({
  parameters,
  slots,
  stepCount,
});
