import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { splitRows } from './split.ts';

describe('splitting rows', () => {
  test('gives every row to exactly one part', () => {
    fc.assert(
      fc.property(
        fc.nat(300),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.string(),
        fc.string(),
        (n, fraction, seed, salt) => {
          const { train, test: held } = splitRows(n, fraction, seed, salt);
          expect(train).toHaveLength(Math.floor(n * fraction));
          const all = [...train, ...held].sort((a, b) => a - b);
          expect(all).toEqual(Array.from({ length: n }, (_, i) => i));
          expect([...train]).toEqual([...train].sort((a, b) => a - b));
        },
      ),
    );
  });

  // A hospital that updates Medley in mid-study must not train on yesterday's test patients.
  test('is the same in every release', () => {
    expect(Array.from(splitRows(12, 0.66, 'medley-demo', 'hospital-1').train)).toEqual([
      0, 1, 3, 4, 5, 8, 10,
    ]);
  });

  test('depends on seed and salt, kept apart', () => {
    const train = (seed: string, salt: string) => splitRows(200, 0.5, seed, salt).train.join();
    expect(train('a', 'b')).toBe(train('a', 'b'));
    expect(train('a', 'b')).not.toBe(train('a', 'c'));
    expect(train('ab', 'c')).not.toBe(train('a', 'bc'));
  });

  test.each([
    [-1, 0.5],
    [1.5, 0.5],
    [10, 0],
    [10, 1],
    [10, NaN],
  ])('refuses %d rows with fraction %d', (n, fraction) => {
    expect(() => splitRows(n, fraction, 's', 't')).toThrow(/split needs/);
  });
});
