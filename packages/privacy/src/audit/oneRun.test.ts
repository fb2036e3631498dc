import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import fc from 'fast-check';
import { epsilonLowerBound } from './oneRun.ts';

describe('what a run with canaries refutes', () => {
  // P[Binomial(r, p) = r] = p^r: all right means p ≥ 0.05^(1/r), ε = ln(p/(1 − p)).
  test.each([50, 100, 200, 1000])('all of %i guesses right: the closed form', (r) => {
    const p = 0.05 ** (1 / r);
    const guesses = { canaries: r, guesses: r, correct: r };
    expect(epsilonLowerBound(guesses, { delta: 1e-300 })).toBeCloseTo(Math.log(p / (1 - p)), 4);
  });

  test('is nothing where a coin would do as well', () => {
    for (const correct of [0, 40, 50, 58]) {
      expect(epsilonLowerBound({ canaries: 100, guesses: 100, correct }, { delta: 1e-5 })).toBe(0);
    }
    expect(epsilonLowerBound({ canaries: 9, guesses: 0, correct: 0 }, { delta: 1e-5 })).toBe(0);
  });

  test('grows with right guesses, shrinks with delta and with canaries that nobody guessed at', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 200 }), fc.nat(100), (r, share) => {
        const correct = Math.floor((r * share) / 101);
        const of = (v: number, delta = 1e-6, canaries = r): number =>
          epsilonLowerBound({ canaries, guesses: r, correct: v }, { delta });
        expect(of(correct + 1)).toBeGreaterThanOrEqual(of(correct));
        expect(of(correct, 1e-3)).toBeLessThanOrEqual(of(correct));
        expect(of(correct, 1e-3, 10 * r)).toBeLessThanOrEqual(of(correct, 1e-3));
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    [{ canaries: 5, guesses: 6, correct: 1 }, 1e-5],
    [{ canaries: 5, guesses: 5, correct: 6 }, 1e-5],
    [{ canaries: 5.5, guesses: 5, correct: 5 }, 1e-5],
    [{ canaries: 5, guesses: 5, correct: 5 }, 0],
  ])('refuses %j at delta %d', (guesses, delta) => {
    try {
      epsilonLowerBound(guesses, { delta });
      throw new Error('was taken');
    } catch (caught) {
      expect(isMedleyError(caught) && caught.code).toBe('PRIVACY_PARAMETERS_INVALID');
    }
  });
});
