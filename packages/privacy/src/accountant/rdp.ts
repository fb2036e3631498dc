import { MedleyError } from '@medley/kit';
import { checkDelta, checkEpsilon, checkMechanism, type SampledGaussian } from './mechanism.ts';
import { logAdd, logErfc, logSubtract } from './normal.ts';

/**
 * The Rényi orders at which the ledger keeps what was spent: 1.1 to 10.9 by tenths, 11 to 63, 128,
 * 256, 512, 1024. Stored curves are in this order; it never changes within a ledger version.
 */
export const ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => (11 + i) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  ...[128, 256, 512, 1024],
];

/** Terms after which the fractional series is cut off. */
const MOST_TERMS = 1000;
/** Natural-log distance below the sum at which terms no longer count. */
const NEGLIGIBLE = 30;

/** What a conversion found. */
export interface RdpEpsilon {
  readonly epsilon: number;
  /** The order that gave it. */
  readonly order: number;
  /** True when it is the first or last order: other orders might give less. */
  readonly isEdge: boolean;
}

/**
 * Rényi differential privacy of the sampled Gaussian mechanism at each order: ε(α) = T·ln A(α)/(α − 1)
 * (Mironov, Talwar, Zhang 2019, sections 3.2 and 3.3). Fresh; curves of independent releases add up.
 *
 * Throws PRIVACY_PARAMETERS_INVALID.
 */
export function rdpOf(
  mechanism: SampledGaussian,
  orders: readonly number[] = ORDERS,
): Float64Array {
  checkMechanism(mechanism);
  const { rate, noiseMultiplier, steps } = mechanism;
  return Float64Array.from(orders, (order) => {
    if (rate === 0 || steps === 0) return 0;
    if (noiseMultiplier === 0) return Infinity;
    if (rate === 1) return (steps * order) / (2 * noiseMultiplier ** 2);
    // The moment is at least 1; at rates near 1e-8 its logarithm is rounded to just below 0.
    return (steps * Math.max(0, logMoment(rate, noiseMultiplier, order))) / (order - 1);
  });
}

/**
 * ln A(α) = ln E_Q[(P/Q)^α] for P the mixture (1 − q)·N(0, σ²) + q·N(1, σ²) and Q = N(0, σ²); 0 < q < 1.
 */
export function logMoment(rate: number, sigma: number, order: number): number {
  return Number.isInteger(order)
    ? binomialMoment(rate, sigma, order)
    : fractionalMoment(rate, sigma, order);
}

// The binomial sum of section 3.3, eq. (8), in log space; the coefficients by recurrence.
function binomialMoment(rate: number, sigma: number, order: number): number {
  let coefficient = 0;
  let sum = -Infinity;
  for (let k = 0; k <= order; k++) {
    const weight = k * Math.log(rate) + (order - k) * Math.log1p(-rate);
    sum = logAdd(sum, coefficient + weight + (k * k - k) / (2 * sigma ** 2));
    coefficient += Math.log((order - k) / (k + 1));
  }
  return sum;
}

// Both half-line series of section 3.3. The generalised binomial coefficient alternates in sign from
// i > α on; taking absolute values instead would only give an upper bound.
function fractionalMoment(rate: number, sigma: number, order: number): number {
  const cut = sigma ** 2 * Math.log(1 / rate - 1) + 0.5;
  const [inside, outside] = [Math.log(rate), Math.log1p(-rate)];
  const term = (drawn: number, x: number): number =>
    drawn * inside +
    (order - drawn) * outside +
    (drawn * drawn - drawn) / (2 * sigma ** 2) +
    logErfc(x / (Math.SQRT2 * sigma)) -
    Math.LN2;
  let coefficient = 0;
  let isPositive = true;
  let [plus, minus] = [-Infinity, -Infinity];
  let last = Infinity;
  let [lastLow, lastHigh] = [Infinity, Infinity];
  for (let i = 0; i < MOST_TERMS; i++) {
    const j = order - i;
    const low = coefficient + term(i, i - cut);
    const high = coefficient + term(j, cut - j);
    last = logAdd(low, high);
    if (isPositive) plus = logAdd(plus, last);
    else minus = logAdd(minus, last);
    const total = logSubtract(plus, minus);
    const falls = low < lastLow && high < lastHigh;
    if (i > order && falls && Math.max(low, high) < total - NEGLIGIBLE) return total;
    [lastLow, lastHigh] = [low, high];
    if (j < 0) isPositive = !isPositive;
    coefficient += Math.log(Math.abs(j) / (i + 1));
  }
  // The terms alternate and shrink by now: the last one bounds the rest.
  return logAdd(logSubtract(plus, minus), last);
}

/** The sum of curves over the same orders, fresh. */
export function composeRdp(curves: Iterable<ArrayLike<number>>, orders = ORDERS): Float64Array {
  const sum = new Float64Array(orders.length);
  for (const curve of curves) {
    checkCurve(curve, orders);
    for (let i = 0; i < sum.length; i++) sum[i]! += curve[i]!;
  }
  return sum;
}

/**
 * The smallest ε that the curve shows at `delta`: min over α of
 * ε(α) + ln(1 − 1/α) − ln(δα)/(α − 1) (Canonne, Kamath, Steinke 2020, proposition 12).
 *
 * Throws PRIVACY_PARAMETERS_INVALID for a delta outside (0, 1) or a curve of another length.
 */
export function epsilonFromRdp(
  curve: ArrayLike<number>,
  delta: number,
  orders: readonly number[] = ORDERS,
): RdpEpsilon {
  checkDelta(delta);
  checkCurve(curve, orders);
  let [best, at] = [Infinity, 0];
  orders.forEach((order, i) => {
    const spent = curve[i]!;
    const hasNone = delta ** 2 + Math.expm1(-spent) > 0;
    const bound = spent + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1);
    const epsilon = hasNone ? 0 : Math.max(0, bound);
    if (order > 1.01 && epsilon < best) [best, at] = [epsilon, i];
  });
  return { epsilon: best, order: orders[at]!, isEdge: at === 0 || at === orders.length - 1 };
}

/** The smallest δ that the curve shows at `epsilon`: the inverse of {@link epsilonFromRdp}. */
export function deltaFromRdp(
  curve: ArrayLike<number>,
  epsilon: number,
  orders: readonly number[] = ORDERS,
): number {
  checkEpsilon(epsilon);
  checkCurve(curve, orders);
  let least = 0;
  orders.forEach((order, i) => {
    const spent = curve[i]!;
    const bound = (order - 1) * (spent - epsilon + Math.log1p(-1 / order)) - Math.log(order);
    // Total variation bounds δ at every ε: √(1 − e^−D) for a Kullback-Leibler divergence of at most D.
    const distance = 0.5 * Math.log(-Math.expm1(-spent));
    if (order > 1.01) least = Math.min(least, bound, distance);
  });
  return Math.exp(least);
}

function checkCurve(curve: ArrayLike<number>, orders: readonly number[]): void {
  if (curve.length !== orders.length || Array.from(curve).some((value) => !(value >= 0))) {
    throw new MedleyError(
      'PRIVACY_PARAMETERS_INVALID',
      `a curve over ${orders.length} orders must be as many numbers from 0`,
    );
  }
}
