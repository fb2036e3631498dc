import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { auc, aucFromHistogram, brier } from './auc.ts';
import { scoreBin } from './evaluation.ts';

const scored = fc.array(
  fc.record({
    score: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constantFrom(0, 0.25, 0.5, 1)),
    label: fc.constantFrom(0, 1),
  }),
  { minLength: 2, maxLength: 80 },
);

/** The definition: every pair, one at a time. */
function pairwise(rows: readonly { score: number; label: number }[]): number | null {
  let wins = 0;
  let pairs = 0;
  for (const p of rows) {
    for (const q of rows) {
      if (p.label !== 1 || q.label !== 0) continue;
      pairs++;
      wins += p.score > q.score ? 1 : p.score === q.score ? 0.5 : 0;
    }
  }
  return pairs === 0 ? null : wins / pairs;
}

describe('area under the ROC curve', () => {
  test('equals the pairwise definition, ties counting one half', () => {
    fc.assert(
      fc.property(scored, (rows) => {
        const area = auc(
          rows.map((r) => r.score),
          rows.map((r) => r.label),
        );
        const expected = pairwise(rows);
        if (expected === null) expect(area).toBeNull();
        else expect(area).toBeCloseTo(expected, 12);
      }),
    );
  });

  test('from a histogram is off by at most half the share of pairs within one bin', () => {
    fc.assert(
      fc.property(scored, fc.integer({ min: 2, max: 300 }), (rows, bins) => {
        const positives = new Array<number>(bins).fill(0);
        const negatives = new Array<number>(bins).fill(0);
        for (const { score, label } of rows) {
          (label === 1 ? positives : negatives)[scoreBin(score, bins)]! += 1;
        }
        const rough = aucFromHistogram(positives, negatives);
        const exact = pairwise(rows);
        if (exact === null || rough === null) {
          expect(rough).toBe(exact);
          return;
        }
        const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
        const shared = sum(positives.map((p, bin) => p * negatives[bin]!));
        const bound = shared / (2 * sum(positives) * sum(negatives));
        expect(Math.abs(rough - exact)).toBeLessThanOrEqual(bound + 1e-12);
      }),
    );
  });

  test('is 1, 0 and one half in the plain cases, null with one class', () => {
    expect(auc([0.1, 0.9], [0, 1])).toBe(1);
    expect(auc([0.9, 0.1], [0, 1])).toBe(0);
    expect(auc([0.5, 0.5, 0.5], [0, 1, 1])).toBe(0.5);
    expect(auc([0.5], [1])).toBeNull();
    expect(aucFromHistogram([1, 0], [0, 0])).toBeNull();
  });

  test('refuses NaN, other labels and different lengths', () => {
    expect(() => auc([NaN], [1])).toThrow(/NaN/);
    expect(() => auc([0.5], [2])).toThrow(/label/);
    expect(() => auc([0.5], [])).toThrow(/as many/);
    expect(() => aucFromHistogram([1], [])).toThrow(/length/);
  });
});

describe('Brier score', () => {
  test('is the mean squared error of the probability', () => {
    expect(brier([1, 0.5, 0], [1, 1, 1])).toBeCloseTo((0 + 0.25 + 1) / 3, 15);
    expect(brier([], [])).toBeNull();
  });
});
