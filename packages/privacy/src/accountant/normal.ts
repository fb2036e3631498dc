/**
 * The complementary error function, relative error below 1e-13 for x < 26 (beyond, erfc underflows).
 *
 * Below 2.5 by the series of positive terms of erf (DLMF 7.6.2), above by the continued fraction
 * (DLMF 7.9.2).
 */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x < 2.5 ? 1 - erfSeries(x) : Math.exp(-x * x) * scaledErfc(x);
}

/** ln erfc(x), also where erfc itself underflows. */
export function logErfc(x: number): number {
  return x < 2.5 ? Math.log(erfc(x)) : -x * x + Math.log(scaledErfc(x));
}

/** Probabilities that a standard normal variable lies below and above a point; each exact. */
export interface Tails {
  readonly below: number;
  readonly above: number;
}

export function normalTails(x: number): Tails {
  const far = erfc(Math.abs(x) * Math.SQRT1_2) / 2;
  return x < 0 ? { below: far, above: 1 - far } : { below: 1 - far, above: far };
}

/** Probability between two points, by the tails that cancel least; 0 when they are out of order. */
export function massBetween(from: Tails, to: Tails): number {
  if (from.below >= 0.5) return Math.max(0, from.above - to.above);
  if (to.above >= 0.5) return Math.max(0, to.below - from.below);
  return 1 - from.below - to.above;
}

/** ln(eᵃ + eᵇ). */
export function logAdd(a: number, b: number): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  return low === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

/** ln(eᵃ − eᵇ) for a ≥ b; −∞ where nothing is left. */
export function logSubtract(a: number, b: number): number {
  if (b === -Infinity) return a;
  return a <= b ? -Infinity : a + Math.log(-Math.expm1(b - a));
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** exp(x²)·erfc(x) for x ≥ 2.5, from the tail of the fraction; fewer terms are enough farther out. */
function scaledErfc(x: number): number {
  let fraction = x;
  for (let n = Math.ceil(10 + 700 / (x * x)); n > 0; n--) fraction = x + n / 2 / fraction;
  return 1 / (Math.sqrt(Math.PI) * fraction);
}
