import { MedleyError } from '@medley/kit';
import { checkDelta, type SampledGaussian } from './mechanism.ts';
import { epsilonFromLosses } from './pld.ts';
import { epsilonFromRdp, rdpOf } from './rdp.ts';

/** How ε is computed: `rdp` as the ledger does, or `pld`, tighter and slower. */
export type Accountant = 'rdp' | 'pld';

/** What is known when the noise is sought. */
export interface NoiseTarget {
  readonly rate: number;
  readonly steps: number;
  /** Above 0. */
  readonly epsilon: number;
  readonly delta: number;
  /** @default 'rdp' */
  readonly accountant?: Accountant;
  /** Largest relative excess of the multiplier that is found. @default 1e-4 */
  readonly precision?: number;
}

const LARGEST_NOISE = 1e6;

/** ε of a mechanism at δ. Throws PRIVACY_PARAMETERS_INVALID. */
export function epsilonOf(
  mechanism: SampledGaussian,
  delta: number,
  accountant: Accountant = 'rdp',
): number {
  return accountant === 'pld'
    ? epsilonFromLosses(mechanism, delta)
    : epsilonFromRdp(rdpOf(mechanism), delta).epsilon;
}

/**
 * The smallest noise multiplier, to `precision`, whose ε does not exceed the target: bisection, from
 * above. Throws PRIVACY_PARAMETERS_INVALID, PRIVACY_TARGET_OUT_OF_REACH.
 */
export function noiseFor(target: NoiseTarget): number {
  const { rate, steps, epsilon, delta, accountant, precision = 1e-4 } = target;
  checkDelta(delta);
  if (!(epsilon > 0)) {
    throw new MedleyError('PRIVACY_PARAMETERS_INVALID', `epsilon ${epsilon} is not above 0`);
  }
  const spends = (noiseMultiplier: number): number =>
    epsilonOf({ rate, noiseMultiplier, steps }, delta, accountant);
  // What the looser accountant takes is enough for the tighter one.
  const start = accountant === 'pld' ? noiseFor({ ...target, accountant: 'rdp' }) : 1;
  return leastNoise(spends, epsilon, { start, precision });
}

/**
 * The smallest noise multiplier, to a relative `precision` and from above, at which `spends` does not
 * exceed `epsilon`; `spends` falls as noise grows. For plans of several mechanisms, of which one is
 * sought. Throws PRIVACY_TARGET_OUT_OF_REACH.
 */
export function leastNoise(
  spends: (noiseMultiplier: number) => number,
  epsilon: number,
  { start = 1, precision = 1e-4 }: { readonly start?: number; readonly precision?: number } = {},
): number {
  let high = start;
  while (spends(high) > epsilon) {
    high *= 2;
    if (high > LARGEST_NOISE) {
      throw new MedleyError(
        'PRIVACY_TARGET_OUT_OF_REACH',
        `no noise multiplier up to ${LARGEST_NOISE} gives epsilon ${epsilon}`,
      );
    }
  }
  let low = high;
  while (low > 1e-3 && spends(low / 2) <= epsilon) low /= 2;
  [low, high] = [low / 2, low];
  while (high - low > precision * high) {
    const middle = (low + high) / 2;
    if (spends(middle) > epsilon) low = middle;
    else high = middle;
  }
  return high;
}
