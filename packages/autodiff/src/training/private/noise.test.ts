import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { poissonLots } from './lots.ts';
import { gaussianNoise } from './noise.ts';

/** Distribution function of N(0, 1) by its series (Abramowitz and Stegun 26.2.11). */
function normal(x: number): number {
  let [term, sum] = [x, x];
  for (let k = 3; Math.abs(term) > 1e-17; k += 2) sum += term *= (x * x) / k;
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

describe('Gaussian noise', () => {
  const [n, stdDev] = [20_000, 3];
  const draws = gaussianNoise(seededRng('noise'), n, stdDev);

  // n = 20 000 with a fixed seed. Over seeds the false-alarm rate of each bound is 1e-6: |z| < 4.89.
  test('has mean 0 and variance σ², at σ = 3', () => {
    const mean = draws.reduce((sum, x) => sum + x, 0) / n;
    const variance = draws.reduce((sum, x) => sum + x * x, 0) / n;
    expect(Math.abs(mean) / (stdDev / Math.sqrt(n))).toBeLessThan(4.89);
    expect(Math.abs(variance / stdDev ** 2 - 1) / Math.sqrt(2 / n)).toBeLessThan(4.89);
  });

  // Kolmogorov and Smirnov: P(√n·D > 2.69) = 2·exp(−2 · 2.69²) = 1e-6.
  test('is normal', () => {
    const sorted = [...draws].sort((a, b) => a - b);
    const distance = Math.max(
      ...sorted.map((x, i) => Math.abs(normal(x / stdDev) - (i + 0.5) / n) + 0.5 / n),
    );
    expect(distance * Math.sqrt(n)).toBeLessThan(2.69);
  });

  // Correlation of neighbours, which the two halves of one draw by Box and Muller must not bring.
  test('has independent neighbours', () => {
    const products = draws.subarray(1).reduce((sum, x, i) => sum + x * draws[i]!, 0);
    expect(Math.abs(products / stdDev ** 2) / Math.sqrt(n)).toBeLessThan(4.89);
  });

  test('follows from its seed, and is 0 for σ = 0', () => {
    expect(gaussianNoise(seededRng('a'), 5000, 2)).toEqual(gaussianNoise(seededRng('a'), 5000, 2));
    expect(gaussianNoise(seededRng('a'), 3, 0).every((x) => x === 0)).toBe(true);
    expect(() => gaussianNoise(seededRng('a'), 1, -1)).toThrow('from 0');
    expect(() => gaussianNoise(seededRng('a'), 1, NaN)).toThrow('from 0');
  });
});

describe('Poisson lots', () => {
  // 200 lots of 500 rows at rate 0.1: the total is Binomial(100 000, 0.1); false-alarm rate 1e-6.
  test('hold each row with the given probability, never twice', () => {
    const lots = poissonLots(seededRng('lots'), { rows: 500, rate: 0.1, steps: 200 });
    const total = lots.sizes.reduce((sum, size) => sum + size, 0);
    expect(Math.abs(total - 10_000) / Math.sqrt(9000)).toBeLessThan(4.89);
    expect(lots.sampleWeights.reduce((sum, weight) => sum + weight, 0)).toBe(total);
    expect(lots.batchSize).toBe(Math.max(...lots.sizes));
    for (const [step, size] of lots.sizes.entries()) {
      const lot = lots.order.subarray(step * lots.batchSize, step * lots.batchSize + size);
      expect(new Set(lot).size).toBe(size);
    }
  });

  test('may be empty', () => {
    const lots = poissonLots(seededRng('lots'), { rows: 3, rate: 1e-9, steps: 2 });
    expect(lots.sizes).toEqual([0, 0]);
    expect(lots.batchSize).toBe(1);
    expect([...lots.sampleWeights]).toEqual([0, 0]);
  });

  test.each([0, -0.1, 1.1, NaN])('refuse the rate %d', (rate) => {
    expect(() => poissonLots(seededRng('x'), { rows: 3, rate, steps: 1 })).toThrow('rate');
  });
});
