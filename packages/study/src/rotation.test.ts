import { describe, expect, test } from '@jest/globals';
import { isMedleyError, seededRng, uniformReal } from '@medley/kit';
import { addInto, encodeVector, layoutLength, type VectorLayout } from '@medley/secagg';
import fc from 'fast-check';
import type { Charter } from './charter.ts';
import { layoutFor } from './plan.ts';
import { recurrence, recurrenceCharter } from './recurrence.ts';
import { rotate, rotatedLength, rotationBlock, unrotate } from './rotation.ts';
import { nextState } from './strategy.ts';
import { normL2, trainingValues } from './training.ts';

const plain = recurrenceCharter();
const updates = fc.float64Array({ minLength: 1, maxLength: 300, min: -9, max: 9, noNaN: true });

describe('a rotation', () => {
  test('keeps lengths and angles, and turned back gives the update again', () => {
    fc.assert(
      fc.property(updates, (update) => {
        const other = update.map((value, i) => value * Math.cos(i));
        const dot = (a: Float64Array, b: Float64Array) => a.reduce((s, x, i) => s + x * b[i]!, 0);
        const [a, b] = [rotate(plain, update), rotate(plain, other)];
        expect(a.length).toBe(rotatedLength(update.length));
        expect(dot(a, b)).toBeCloseTo(dot(update, other), 6);
        const back = unrotate(plain, a, update.length);
        back.forEach((value, i) => expect(value).toBeCloseTo(update[i]!, 9));
      }),
    );
  });

  test('pads by an eighth at most, from 64 parameters on, in blocks of at most 16,384', () => {
    for (const count of [1, 7, 8, 64, 65, 193, 1000, 4097, 1e6, 1e7 + 1]) {
      expect(rotationBlock(count)).toBeLessThanOrEqual(2 ** 14);
      expect(rotatedLength(count) % rotationBlock(count)).toBe(0);
      if (count >= 64) expect(rotatedLength(count)).toBeLessThanOrEqual(count * 1.125);
    }
  });

  test('spreads an outlier over its block', () => {
    const update = new Float64Array(1024);
    update[77] = 1;
    const rotated = rotate(plain, update);
    expect(Math.max(...rotated.map(Math.abs))).toBeCloseTo(1 / 32, 12);
    expect(normL2(rotated)).toBeCloseTo(1, 12);
  });

  test('follows from the charter', () => {
    const update = Float64Array.from({ length: 64 }, (_, i) => i);
    const other = { ...plain, title: 'another' };
    expect(rotate(plain, update)).toEqual(rotate({ ...plain }, update));
    expect(rotate(other, update)).not.toEqual(rotate(plain, update));
  });
});

describe('a study of short words', () => {
  const PARAMETERS = 1000;
  const { study } = recurrence();

  /** Root mean square error of the mean of five updates that a few coordinates dominate. */
  function errorOf(
    secureAggregation: Partial<Charter['secureAggregation']>,
    bound: number,
  ): number {
    const base = recurrenceCharter({ modelParameters: PARAMETERS });
    const charter: Charter = {
      ...base,
      clipping: { normL2: 4, coordinate: bound },
      secureAggregation: { ...base.secureAggregation, bits: 9, ringBits: 12, ...secureAggregation },
    };
    const layout: VectorLayout = layoutFor(study, charter, 'training');
    const sum = new Uint32Array(layoutLength(layout));
    const exact = new Float64Array(PARAMETERS);
    const rng = seededRng('updates');
    const weight = charter.secureAggregation.weightCap;
    for (let silo = 0; silo < 5; silo++) {
      const delta = Float32Array.from({ length: PARAMETERS }, (_, i) =>
        i % 200 === 0 ? 0.9 : 0.02 * (uniformReal(rng) - 0.5),
      );
      delta.forEach((value, i) => (exact[i]! += value / 5));
      const test = { logits: Float64Array.of(0), labels: [1] };
      const values = trainingValues(study, charter, { delta, weight, trainLoss: 0, test });
      addInto(sum, encodeVector(layout, values, rng));
    }
    const state = { parameters: new Float32Array(PARAMETERS), standardisation: null };
    const { parameters } = nextState({ study, charter, kind: 'training', state, sum }).state;
    const error = exact.map((value, i) => value - parameters[i]!);
    return normL2(error) / Math.sqrt(PARAMETERS);
  }

  // Without a rotation the quantiser must reach the outliers, 0.9; with it 0.3 is beyond all of them.
  test('is several times more exact when updates with outliers are rotated', () => {
    const straight = errorOf({ rotation: false }, 0.9);
    const rotated = errorOf({ rotation: true }, 0.3);
    expect(rotated).toBeLessThan(straight / 2.5);
    expect(errorOf({ rotation: true, bits: 22, ringBits: 32 }, 0.3)).toBeLessThan(1e-6);
  });

  test('refuses an update that is not finite', () => {
    const base = recurrenceCharter();
    const { secureAggregation } = base;
    const charter = { ...base, secureAggregation: { ...secureAggregation, rotation: true } };
    const delta = new Float32Array(7).fill(NaN);
    const test = { logits: [], labels: [] };
    const act = () => trainingValues(study, charter, { delta, weight: 500, trainLoss: 0, test });
    try {
      act();
      throw new Error('taken');
    } catch (error) {
      expect(isMedleyError(error) && error.code).toBe('STUDY_VALUES_INVALID');
    }
  });
});
