import { expect, test } from '@jest/globals';
import { equalBytes, seededRng } from '@medley/kit';
import fc from 'fast-check';
import { randomElement, splitSecret } from '../arithmetic/shamir.ts';
import { recoverSecret, rememberedCoefficients, type Helper } from './recover.ts';

const coefficients = rememberedCoefficients();

function recovered(helpers: readonly Helper[], threshold: number, secret: Uint8Array) {
  return recoverSecret(helpers, threshold, coefficients, (found) => equalBytes(found, secret));
}

test('finds the secret and exactly the wrong shares, as long as t right ones are left', () => {
  const cases = fc.record({
    n: fc.integer({ min: 3, max: 9 }),
    extra: fc.nat(8),
    wrong: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
    seed: fc.string(),
  });
  fc.assert(
    fc.property(cases, ({ n, extra, wrong, seed }) => {
      const rng = seededRng(seed);
      const threshold = Math.max(2, n - extra);
      const secret = randomElement(rng);
      const indices = Array.from({ length: n }, (_, i) => i + 1);
      const liars = wrong.filter((index) => index <= n);
      const helpers = splitSecret(secret, threshold, indices, rng).map((helper) =>
        liars.includes(helper.index) ? { ...helper, share: randomElement(rng) } : helper,
      );
      const found = recovered(helpers, threshold, secret);
      if (n - liars.length < threshold) {
        expect(found).toBeUndefined();
        return;
      }
      expect(found?.secret).toEqual(secret);
      const firstSetIsRight = liars.every((index) => index > threshold);
      expect(found?.wrong).toEqual(firstSetIsRight ? [] : liars.toSorted((a, b) => a - b));
    }),
  );
});

test('gives up after a bounded number of sets', () => {
  const rng = seededRng('bounded');
  const indices = Array.from({ length: 30 }, (_, i) => i + 1);
  const helpers = splitSecret(randomElement(rng), 15, indices, rng);
  let tried = 0;
  const refuse = () => {
    tried += 1;
    return false;
  };
  expect(recoverSecret(helpers, 15, () => Array<bigint>(15).fill(1n), refuse)).toBeUndefined();
  expect(tried).toBe(4_096);
});

test('computes the coefficients of one helper set once', () => {
  expect(coefficients([1, 2, 3])).toBe(coefficients([1, 2, 3]));
  expect(coefficients([1, 2, 3])).not.toEqual(coefficients([1, 2, 4]));
});
