import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { binomialLoss, meanLoss, probabilityOf } from './loss.ts';

const logits = fc.double({ min: -30, max: 30, noNaN: true });

describe('binomial loss', () => {
  test('is minus the log of the probability that the label was given', () => {
    fc.assert(
      fc.property(logits, (logit) => {
        expect(binomialLoss(logit, 1)).toBeCloseTo(-Math.log(probabilityOf(logit)), 9);
        expect(binomialLoss(logit, 0)).toBeCloseTo(-Math.log(probabilityOf(-logit)), 9);
        expect(probabilityOf(logit) + probabilityOf(-logit)).toBeCloseTo(1, 12);
      }),
    );
  });

  test('stays in range for logits of any size', () => {
    expect(binomialLoss(1e300, 0)).toBe(1e300);
    expect(binomialLoss(Infinity, 1)).toBe(0);
    expect(binomialLoss(-Infinity, 1)).toBe(Infinity);
    expect(probabilityOf(-1e300)).toBe(0);
    expect(probabilityOf(Infinity)).toBe(1);
  });

  test('has a mean over rows, and none over no rows', () => {
    expect(meanLoss([0, 0], [0, 1])).toBeCloseTo(Math.LN2, 15);
    expect(meanLoss([], [])).toBeNull();
    expect(() => meanLoss([0], [])).toThrow(/as many/);
    expect(() => binomialLoss(NaN, 1)).toThrow(/NaN/);
    expect(() => binomialLoss(0, 0.5)).toThrow(/neither/);
  });
});
