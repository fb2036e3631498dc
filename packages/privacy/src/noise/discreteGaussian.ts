import { MedleyError, type Rng } from '@medley/kit';
import { integerOf } from './poisson.ts';

/** A ratio of whole numbers from 0; the denominator above 0. */
interface Ratio {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/**
 * Samples of the discrete Gaussian N_Z(0, σ²), P(x) ∝ exp(−x²/2σ²) on the whole numbers: exact, in
 * rational arithmetic from random bits alone (Canonne, Kamath, Steinke 2020, algorithms 1 to 3).
 *
 * @param sigma - in (0, 10^6]; taken up to the next multiple of 2^−20
 * @param n - number of samples; the result is fresh. Throws PRIVACY_PARAMETERS_INVALID.
 */
export function discreteGaussianNoise(sigma: number, n: number, rng: Rng): Int32Array {
  if (!(sigma > 0 && sigma <= 1e6)) {
    throw new MedleyError('PRIVACY_PARAMETERS_INVALID', `a discrete Gaussian of sigma ${sigma}`);
  }
  const unit = 2n ** 20n;
  const root = BigInt(Math.ceil(sigma * 2 ** 20));
  const square = { numerator: root * root, denominator: unit * unit };
  const scale = root / unit + 1n;
  return Int32Array.from({ length: n }, () => Number(gaussian(square, scale, rng)));
}

// Algorithm 3: a discrete Laplace proposal of scale t = ⌊σ⌋ + 1, accepted with probability
// exp(−(|y| − σ²/t)²/2σ²).
function gaussian(square: Ratio, scale: bigint, rng: Rng): bigint {
  for (;;) {
    const proposal = laplace(scale, rng);
    const size = proposal < 0n ? -proposal : proposal;
    // |y| − σ²/t = distance/(denominator·t), squared and over 2σ².
    const distance = size * scale * square.denominator - square.numerator;
    const numerator = distance * distance;
    const denominator = 2n * square.numerator * square.denominator * scale * scale;
    if (isDrawn({ numerator, denominator }, rng)) return proposal;
  }
}

// Algorithm 2, for a whole scale.
function laplace(scale: bigint, rng: Rng): bigint {
  for (;;) {
    const rest = uniformBelow(scale, rng);
    if (!isDrawn({ numerator: rest, denominator: scale }, rng)) continue;
    let whole = 0n;
    while (isDrawn({ numerator: 1n, denominator: 1n }, rng)) whole++;
    const size = rest + scale * whole;
    const isNegative = uniformBelow(2n, rng) === 1n;
    if (!(isNegative && size === 0n)) return isNegative ? -size : size;
  }
}

// Algorithm 1: true with probability exp(−γ).
function isDrawn(gamma: Ratio, rng: Rng): boolean {
  let { numerator } = gamma;
  const { denominator } = gamma;
  for (; numerator > denominator; numerator -= denominator)
    if (!isDrawnBelowOne(denominator, denominator, rng)) return false;
  return isDrawnBelowOne(numerator, denominator, rng);
}

/** exp(−γ) for γ in [0, 1]: the parity of the length of a run of draws with probability γ/k. */
function isDrawnBelowOne(numerator: bigint, denominator: bigint, rng: Rng): boolean {
  let k = 1n;
  while (uniformBelow(denominator * k, rng) < numerator) k++;
  return k % 2n === 1n;
}

/** Uniform in [0, bound) by rejection. */
function uniformBelow(bound: bigint, rng: Rng): bigint {
  const bits = (bound - 1n).toString(2).length;
  const excess = BigInt((8 - (bits % 8)) % 8);
  for (;;) {
    const draw = integerOf(rng.bytes(Math.ceil(bits / 8))) >> excess;
    if (draw < bound) return draw;
  }
}
