import { MedleyError, type Rng } from '@medley/kit';

/** Bits of a uniform draw; two distributions this close cannot be told apart by any use of them. */
const DRAW_BITS = 128n;
/** Bits of the weights from which the table is made. */
const WEIGHT_BITS = 192n;
/** Largest mean: the table has about 27 standard deviations. */
const LARGEST_MEAN = 1e9;

/**
 * Poisson variables by inversion in integer arithmetic: no floating-point number comes between the
 * generator and the sample (Mironov 2012 shows what such numbers give away). The tabulated
 * distribution is within 2^−120 of the exact one in total variation.
 */
export class PoissonSampler {
  readonly #rng: Rng;
  readonly #first: number;
  /** Upper bounds of the draws that give first, first + 1, …; the last is 2^128. */
  readonly #bounds: readonly bigint[];

  /**
   * `mean` is a ratio of whole numbers, in (0, 10^9]. Throws PRIVACY_PARAMETERS_INVALID.
   */
  constructor(mean: { readonly numerator: bigint; readonly denominator: bigint }, rng: Rng) {
    const { numerator, denominator } = mean;
    const isSmall = numerator <= denominator * BigInt(LARGEST_MEAN);
    if (numerator <= 0n || denominator <= 0n || !isSmall) {
      throw new MedleyError(
        'PRIVACY_PARAMETERS_INVALID',
        `a Poisson mean of ${numerator}/${denominator}`,
      );
    }
    this.#rng = rng;
    const { first, weights } = weightsAround(numerator, denominator);
    const total = weights.reduce((sum, weight) => sum + weight, 0n);
    let sum = 0n;
    this.#first = first;
    this.#bounds = weights.map((weight) => ((sum += weight) << DRAW_BITS) / total);
  }

  /** One variable. */
  next(): number {
    const draw = integerOf(this.#rng.bytes(Number(DRAW_BITS / 8n)));
    let [low, high] = [0, this.#bounds.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (draw < this.#bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.#first + low;
  }
}

/** Weights p(k)/p(mode), as far as they do not vanish, from the ratio p(k + 1)/p(k) = mean/(k + 1). */
function weightsAround(numerator: bigint, denominator: bigint) {
  const mode = numerator / denominator;
  const top = 1n << WEIGHT_BITS;
  const above: bigint[] = [];
  for (let k = mode, weight = top; weight > 0n; above.push(weight)) {
    k += 1n;
    weight = (weight * numerator) / (denominator * k);
  }
  const below: bigint[] = [];
  for (let k = mode, weight = top; k > 0n && weight > 0n; k -= 1n) {
    weight = (weight * denominator * k) / numerator;
    below.push(weight);
  }
  const first = Number(mode) - below.length;
  return { first, weights: [...below.reverse(), top, ...above] };
}

/** The bytes as a whole number, big-endian. */
export function integerOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}
