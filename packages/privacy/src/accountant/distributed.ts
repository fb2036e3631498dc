import { MedleyError } from '@medley/kit';
import { ORDERS } from './rdp.ts';

/** A sum of integer vectors over silos that each add a part of the noise; sizes in quantisation steps. */
export interface DistributedSum {
  /** Bound of the L2 norm of one silo's vector after rounding; see {@link roundedNorm}. */
  readonly normL2: number;
  /** Coordinates. */
  readonly dimension: number;
}

/**
 * Bound of the L2 norm of a vector of norm `clip` after stochastic rounding to whole numbers, when
 * roundings beyond it are drawn again: min(c + √d, √(c² + d/4 + √(2·ln(1/β))·(c + √d/2))) (Kairouz,
 * Liu, Steinke 2021, proposition 22 and its use in Agarwal, Kairouz, Liu 2021).
 *
 * @param clip - c in quantisation steps
 * @param rejection - β, the probability with which a rounding may be drawn again, in (0, 1)
 */
export function roundedNorm(clip: number, dimension: number, rejection = Math.exp(-0.5)): number {
  const root = Math.sqrt(dimension);
  const spread = Math.sqrt(2 * Math.log(1 / rejection)) * (clip + root / 2);
  return Math.min(clip + root, Math.sqrt(clip ** 2 + dimension / 4 + spread));
}

/** L1 norm that goes with an L2 norm of whole numbers: Δ₂·min(√d, Δ₂). */
function normL1({ normL2, dimension }: DistributedSum): number {
  return normL2 * Math.min(Math.sqrt(dimension), normL2);
}

/**
 * Rényi curve of one release of a sum with Skellam noise of central variance μ in all (Agarwal,
 * Kairouz, Liu 2021, theorem 3.5): αΔ₂²/2μ + min(((2α − 1)Δ₂² + 6Δ₁)/4μ², 3Δ₁/2μ). Fresh, over
 * {@link ORDERS}. Throws PRIVACY_PARAMETERS_INVALID.
 *
 * @param variance - μ that is certainly in the sum: see {@link localVariance}
 */
export function skellamRdp(sum: DistributedSum, variance: number): Float64Array {
  check(sum, variance);
  const [l1, square] = [normL1(sum), sum.normL2 ** 2];
  return Float64Array.from(ORDERS, (order) => {
    const quadratic = ((2 * order - 1) * square + 6 * l1) / (4 * variance ** 2);
    return (order * square) / (2 * variance) + Math.min(quadratic, (3 * l1) / (2 * variance));
  });
}

/**
 * Rényi curve of one release of a sum of `silos` discrete Gaussians of standard deviation `sigma`
 * each, whose sum is not one (Kairouz, Liu, Steinke 2021, theorem 1 and corollary 15). Fresh, over
 * {@link ORDERS}. Throws PRIVACY_PARAMETERS_INVALID.
 */
export function discreteGaussianRdp(
  sum: DistributedSum,
  sigma: number,
  silos: number,
): Float64Array {
  check(sum, sigma);
  let gap = 0;
  for (let k = 1; k < silos; k++) gap += Math.exp((-2 * Math.PI ** 2 * sigma ** 2 * k) / (k + 1));
  gap *= 10;
  const spread = Math.sqrt(silos) * sigma;
  const [r1, r2, d] = [normL1(sum) / spread, sum.normL2 / spread, sum.dimension];
  return Float64Array.from(ORDERS, (order) =>
    Math.min(
      (order * r2 ** 2) / 2 + gap * d,
      (order / 2) * (r2 ** 2 + 2 * r1 * gap + gap ** 2 * d),
      (order / 2) * (r2 + Math.sqrt(d) * gap) ** 2,
    ),
  );
}

/**
 * Variance that each silo must add so that the survivors who are certainly honest bring `variance`
 * together: σ²/(t − n_C). Throws PRIVACY_PARAMETERS_INVALID when nobody is left.
 *
 * @param survivors - t, the fewest silos whose sum is opened
 * @param colluding - n_C, the silos that may tell the aggregator their noise
 */
export function localVariance(variance: number, survivors: number, colluding: number): number {
  const honest = survivors - colluding;
  if (!Number.isSafeInteger(honest) || honest < 1 || colluding < 0) {
    throw new MedleyError(
      'PRIVACY_PARAMETERS_INVALID',
      `${survivors} survivors of which ${colluding} may collude`,
    );
  }
  return variance / honest;
}

/**
 * Length of the noise in the mean, in clipping bounds: σ√d/n. Above about 1 the noise drowns a whole
 * silo's update.
 */
export function noiseInMean(noiseMultiplier: number, dimension: number, silos: number): number {
  return (noiseMultiplier * Math.sqrt(dimension)) / silos;
}

function check({ normL2, dimension }: DistributedSum, noise: number): void {
  if (!(normL2 > 0 && noise > 0) || !Number.isSafeInteger(dimension) || dimension < 1) {
    throw new MedleyError(
      'PRIVACY_PARAMETERS_INVALID',
      `norm ${normL2}, ${dimension} coordinates, noise ${noise}`,
    );
  }
}
