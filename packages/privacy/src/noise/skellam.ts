import type { Rng } from '@medley/kit';
import { PoissonSampler } from './poisson.ts';

/**
 * Skellam noise: the difference of two Poisson variables of mean μ/2, with mean 0 and variance μ.
 * Sums of such variables are such variables, so that silos can each add a part of the noise
 * (Agarwal, Kairouz, Liu 2021).
 *
 * @param variance - μ in units of the quantisation step squared, in (0, 2·10^9]; taken up to the next
 * multiple of 2^−20, so that there is never less noise than asked for
 * @param n - number of samples; the result is fresh. Throws PRIVACY_PARAMETERS_INVALID.
 */
export function skellamNoise(variance: number, n: number, rng: Rng): Int32Array {
  const numerator = BigInt(Number.isFinite(variance) ? Math.ceil(variance * 2 ** 20) : 0);
  const poisson = new PoissonSampler({ numerator, denominator: 2n ** 21n }, rng);
  return Int32Array.from({ length: n }, () => poisson.next() - poisson.next());
}
