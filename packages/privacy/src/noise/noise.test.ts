import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { discreteGaussianNoise } from './discreteGaussian.ts';
import { PoissonSampler } from './poisson.ts';
import { skellamNoise } from './skellam.ts';

/** The value that a chi-square variable exceeds once in 10^6 (Wilson and Hilferty 1931). */
function limitOf(degrees: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + 4.753424 * Math.sqrt(spread)) ** 3;
}

/** Pearson's statistic of samples against `probability`; values expected fewer than 8 times are pooled. */
function chiSquare(samples: ArrayLike<number>, probability: (k: number) => number, reach: number) {
  const counts = new Map<number, number>();
  for (const sample of Array.from(samples)) counts.set(sample, (counts.get(sample) ?? 0) + 1);
  const n = samples.length;
  let [statistic, degrees, seen, mass] = [0, 0, 0, 0];
  for (let k = -reach; k <= reach; k++) {
    const expected = n * probability(k);
    if (expected < 8) continue;
    const count = counts.get(k) ?? 0;
    statistic += (count - expected) ** 2 / expected;
    [degrees, seen, mass] = [degrees + 1, seen + count, mass + expected];
  }
  statistic += (n - seen - (n - mass)) ** 2 / Math.max(n - mass, 8);
  return { statistic, limit: limitOf(degrees) };
}

const N = 40_000;
const SIGMA = 3;

// At σ = 3 mistakes of the spread show that at 1 are hidden in a handful of values.
describe(`${N} samples at σ = ${SIGMA} against their law, false alarms once in a million seeds`, () => {
  const weight = (k: number): number => Math.exp((-k * k) / (2 * SIGMA ** 2));
  const total = Array.from({ length: 201 }, (_, i) => weight(i - 100)).reduce((a, b) => a + b);
  const gaussian = (k: number): number => weight(k) / total;
  // P(k) = e^−μ·I_k(μ), by the series of the modified Bessel function (DLMF 10.25.2).
  const skellam = (k: number): number => {
    const [half, order] = [SIGMA ** 2 / 2, Math.abs(k)];
    let term = Math.exp(-(SIGMA ** 2));
    for (let i = 1; i <= order; i++) term *= half / i;
    let sum = 0;
    for (let m = 0; m < 200; m++) {
      sum += term;
      term *= (half * half) / ((m + 1) * (m + 1 + order));
    }
    return sum;
  };

  test('discrete Gaussian', () => {
    const samples = discreteGaussianNoise(SIGMA, N, seededRng('gaussian'));
    const { statistic, limit } = chiSquare(samples, gaussian, 40);
    expect(statistic).toBeLessThan(limit);
  });

  test('Skellam', () => {
    const samples = skellamNoise(SIGMA ** 2, N, seededRng('skellam'));
    const { statistic, limit } = chiSquare(samples, skellam, 40);
    expect(statistic).toBeLessThan(limit);
  });

  test('a variance that is a tenth too large is noticed', () => {
    const wrong = skellamNoise(SIGMA ** 2 * 1.1, N, seededRng('skellam'));
    const { statistic, limit } = chiSquare(wrong, skellam, 40);
    expect(statistic).toBeGreaterThan(limit);
    const { statistic: other } = chiSquare(
      discreteGaussianNoise(SIGMA * 1.05, N, seededRng('gaussian')),
      gaussian,
      40,
    );
    expect(other).toBeGreaterThan(limit);
  });
});

test('sums of Skellam noise have the sum of the variances', () => {
  const parts = Array.from({ length: 5 }, (_, i) => skellamNoise(1000, 20_000, seededRng(`${i}`)));
  const sums = Array.from({ length: 20_000 }, (_, k) => parts.reduce((sum, x) => sum + x[k]!, 0));
  const variance = sums.reduce((sum, x) => sum + x * x, 0) / sums.length;
  // Standard error of a variance of n normal variables: √(2/n).
  expect(Math.abs(variance / 5000 - 1)).toBeLessThan(4.753424 * Math.sqrt(2 / 20_000));
});

test('small and large Poisson means', () => {
  for (const mean of [1, 1000, 4_000_000]) {
    const ratio = { numerator: BigInt(mean), denominator: 4n };
    const sampler = new PoissonSampler(ratio, seededRng(`${mean}`));
    const samples = Array.from({ length: 5000 }, () => sampler.next());
    const average = samples.reduce((sum, x) => sum + x, 0) / samples.length;
    expect(Math.abs(average - mean / 4)).toBeLessThan(4.753424 * Math.sqrt(mean / 4 / 5000));
  }
});

test.each([0, -1, NaN, Infinity])('a spread of %d is refused', (spread) => {
  const refused = expect.objectContaining({ code: 'PRIVACY_PARAMETERS_INVALID' });
  expect(() => skellamNoise(spread, 1, seededRng('x'))).toThrow(refused);
  expect(() => discreteGaussianNoise(spread, 1, seededRng('x'))).toThrow(refused);
});
