import { MedleyError } from '@medley/kit';

/**
 * The Poisson-subsampled Gaussian mechanism as it is used in DP-SGD (Abadi et al. 2016): in every step
 * each record is drawn with probability `rate`, independently; the sum of the clipped gradients gets
 * normal noise of standard deviation `noiseMultiplier` times the clipping bound. Neighbouring data
 * sets differ by one record added or removed.
 */
export interface SampledGaussian {
  /** q, in [0, 1]. */
  readonly rate: number;
  /** σ: noise over sensitivity; 0 for no noise. */
  readonly noiseMultiplier: number;
  /** How often it is applied, a whole number from 0. */
  readonly steps: number;
}

/** Throws PRIVACY_PARAMETERS_INVALID outside the ranges above. */
export function checkMechanism({ rate, noiseMultiplier, steps }: SampledGaussian): void {
  const isNumber = rate >= 0 && rate <= 1 && noiseMultiplier >= 0 && noiseMultiplier < Infinity;
  if (!isNumber || !Number.isSafeInteger(steps) || steps < 0) {
    throw new MedleyError(
      'PRIVACY_PARAMETERS_INVALID',
      `sampling rate ${rate}, noise multiplier ${noiseMultiplier}, ${steps} steps`,
    );
  }
}

/** Throws PRIVACY_PARAMETERS_INVALID unless 0 < delta < 1. */
export function checkDelta(delta: number): void {
  if (!(delta > 0 && delta < 1)) {
    throw new MedleyError('PRIVACY_PARAMETERS_INVALID', `delta ${delta} is not between 0 and 1`);
  }
}

/** Throws PRIVACY_PARAMETERS_INVALID unless epsilon is a number from 0. */
export function checkEpsilon(epsilon: number): void {
  if (!(epsilon >= 0 && epsilon < Infinity)) {
    throw new MedleyError('PRIVACY_PARAMETERS_INVALID', `epsilon ${epsilon} is not from 0`);
  }
}
