import { describe, expect, test } from '@jest/globals';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { applyMean, weightedMean } from './mean.ts';

describe('weightedMean', () => {
  test('divides the weighted sum by the weights: weights 100 and 300 under a cap of 1,000', () => {
    const sum = Float64Array.of((100 * 2 + 300 * 6) / 1000);
    expect(weightedMean(sum, 400, 1000)[0]).toBeCloseTo(5, 12);
  });

  test.each([0, -1, NaN, Infinity])('refuses a weight sum of %d', (weights) => {
    expect(codeOf(() => weightedMean(new Float64Array(1), weights, 10))).toBe(
      'SECAGG_WEIGHT_INVALID',
    );
  });
});

describe('applyMean', () => {
  test('adds in double precision and rounds once', () => {
    const before = Float32Array.of(0.1, -1);
    const after = applyMean(before, Float64Array.of(0.003, 0.5), 7, 10);
    expect(after[0]).toBe(Math.fround(before[0]! + (0.003 * 10) / 7));
    expect(after[1]).toBe(Math.fround(-1 + 5 / 7));
    expect(before[1]).toBe(-1);
  });

  test('refuses an update of another length', () => {
    expect(codeOf(() => applyMean(new Float32Array(2), new Float64Array(3), 1, 1))).toBe(
      'SECAGG_LENGTH',
    );
  });
});
