import { expect, test } from '@jest/globals';
import {
  discreteGaussianRdp,
  localVariance,
  noiseInMean,
  roundedNorm,
  skellamRdp,
} from './distributed.ts';
import { ORDERS, rdpOf } from './rdp.ts';

const SUM = { normL2: 2 ** 16, dimension: 1000 };
const SIGMA = 4 * SUM.normL2;

test('with fine steps both mechanisms cost what the Gaussian one does, and never less', () => {
  const gaussian = rdpOf({ rate: 1, noiseMultiplier: 4, steps: 1 });
  const skellam = skellamRdp(SUM, SIGMA ** 2);
  const discrete = discreteGaussianRdp(SUM, SIGMA / Math.sqrt(20), 20);
  ORDERS.forEach((_, i) => {
    for (const curve of [skellam, discrete]) {
      expect(curve[i]! / gaussian[i]!).toBeGreaterThan(1 - 1e-9);
      expect(curve[i]! / gaussian[i]!).toBeLessThan(1.001);
    }
  });
});

test('coarse steps cost more', () => {
  const coarse = { normL2: 4, dimension: 1000 };
  const gaussian = rdpOf({ rate: 1, noiseMultiplier: 1, steps: 1 });
  expect(skellamRdp(coarse, 16)[20]).toBeGreaterThan(1.1 * gaussian[20]!);
  expect(discreteGaussianRdp(coarse, 0.4, 100)[20]).toBeGreaterThan(2 * gaussian[20]!);
});

test('rounding adds to the norm, at most √d', () => {
  expect(roundedNorm(1e6, 100)).toBeGreaterThan(1e6);
  expect(roundedNorm(1e6, 100)).toBeLessThanOrEqual(1e6 + 10);
  expect(roundedNorm(10, 10_000)).toBeLessThan(10 + 100);
  expect(roundedNorm(10, 10_000)).toBeGreaterThan(50);
});

test('the honest survivors carry the noise', () => {
  expect(localVariance(100, 12, 2)).toBe(10);
  expect(() => localVariance(100, 3, 3)).toThrow(
    expect.objectContaining({ code: 'PRIVACY_PARAMETERS_INVALID' }),
  );
  expect(noiseInMean(5, 1e6, 20)).toBe(250);
});
