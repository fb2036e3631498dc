import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { permutation, seededRng, systemRng, uniformInt, uniformReal } from './rng.ts';

describe('seededRng', () => {
  test('repeats under one seed and differs under another', () => {
    expect(seededRng('a').bytes(32)).toEqual(seededRng('a').bytes(32));
    expect(seededRng('a').bytes(32)).not.toEqual(seededRng('b').bytes(32));
  });

  test('continues one stream over calls', () => {
    const whole = seededRng('s').bytes(48);
    const parts = seededRng('s');
    expect([...parts.bytes(16), ...parts.bytes(32)]).toEqual([...whole]);
  });
});

describe('uniformInt', () => {
  test('stays in range for any bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.string(), (bound, seed) => {
        const drawn = uniformInt(seededRng(seed), bound);
        return drawn >= 0 && drawn < bound;
      }),
    );
  });

  test('is uniform: n = 60,000, 6 cells, chi-square under the 1 in 10^6 quantile', () => {
    const cells = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) cells[uniformInt(systemRng, 6)]! += 1;
    const chi2 = cells.reduce((sum, c) => sum + (c - 10_000) ** 2 / 10_000, 0);
    expect(chi2).toBeLessThan(35.9);
  });
});

test('uniformReal lies in [0, 1)', () => {
  const rng = seededRng('real');
  for (let i = 0; i < 1000; i++) {
    const x = uniformReal(rng);
    expect(x >= 0 && x < 1).toBe(true);
  }
});

test('permutation holds every index once', () => {
  expect([...permutation(seededRng('p'), 100)].sort((a, b) => a - b)).toEqual([
    ...Array(100).keys(),
  ]);
});
