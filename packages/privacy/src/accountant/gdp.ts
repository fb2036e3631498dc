import { checkDelta, checkMechanism, type SampledGaussian } from './mechanism.ts';
import { erfc } from './normal.ts';

const cumulative = (x: number): number => erfc(-x * Math.SQRT1_2) / 2;

/**
 * μ of the Gaussian differential privacy that many steps approach: q·√(T·(e^(1/σ²) − 1)) (Bu, Dong,
 * Long, Su 2020, corollary 4). It is a limit, not a bound: for comparison only, never for the ledger.
 */
export function limitMu(mechanism: SampledGaussian): number {
  checkMechanism(mechanism);
  const { rate, noiseMultiplier, steps } = mechanism;
  return rate * Math.sqrt(steps * Math.expm1(noiseMultiplier ** -2));
}

/**
 * δ(ε) of μ-GDP, Φ(−ε/μ + μ/2) − e^ε·Φ(−ε/μ − μ/2) (Dong, Roth, Su 2019, corollary 2.13): exact for a
 * Gaussian mechanism without sampling, μ = √T/σ (Balle and Wang 2018, theorem 8).
 */
export function deltaOfMu(mu: number, epsilon: number): number {
  if (mu === 0) return 0;
  return cumulative(mu / 2 - epsilon / mu) - Math.exp(epsilon) * cumulative(-epsilon / mu - mu / 2);
}

/** The smallest ε with δ(ε) ≤ delta under μ-GDP, to 1e-9. Throws PRIVACY_PARAMETERS_INVALID. */
export function epsilonOfMu(mu: number, delta: number): number {
  checkDelta(delta);
  if (deltaOfMu(mu, 0) <= delta) return 0;
  let [low, high] = [0, 1];
  while (deltaOfMu(mu, high) > delta) high *= 2;
  while (high - low > 1e-9 * Math.max(1, high)) {
    const middle = (low + high) / 2;
    if (deltaOfMu(mu, middle) > delta) low = middle;
    else high = middle;
  }
  return high;
}
