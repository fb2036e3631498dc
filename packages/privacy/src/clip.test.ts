import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { checkFinite, clipL2, normL2 } from './clip.ts';

function failure(act: () => unknown): { code: string; message: string } | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error as { code: string; message: string };
  }
}

describe('clipL2', () => {
  test('scales a longer update down to the bound, keeping its direction', () => {
    const update = Float64Array.of(3, -4);
    expect(clipL2(update, 1)).toEqual({ normL2: 5, factor: 0.2 });
    expect(update[0]).toBeCloseTo(0.6, 12);
    expect(update[1]).toBeCloseTo(-0.8, 12);
  });

  test('leaves an update within the bound as it is', () => {
    const update = Float32Array.of(3, -4);
    expect(clipL2(update, 5)).toEqual({ normL2: 5, factor: 1 });
    expect([...update]).toEqual([3, -4]);
    expect(clipL2(new Float32Array(4), 1)).toEqual({ normL2: 0, factor: 1 });
  });

  test('holds the bound after rounding, in single and double precision', () => {
    const arrays = fc.oneof(
      fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 60 }),
      fc.float64Array({ noNaN: true, noDefaultInfinity: true, minLength: 1, maxLength: 60 }),
    );
    const bounds = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(arrays, bounds, (update, bound) => {
        const { factor } = clipL2(update, bound);
        const norm = Math.sqrt(Array.from(update).reduce((sum, x) => sum + x * x, 0));
        return norm <= bound * (1 + 1e-12) && normL2(update) <= bound && factor <= 1;
      }),
    );
  });

  test('clips an update whose squares overflow', () => {
    const update = Float64Array.of(1e308, 1e308, -1e308, 1e308);
    clipL2(update, 2);
    expect([...update].map((x) => Number(x.toFixed(12)))).toEqual([1, 1, -1, 1]);
  });

  test.each([0, -1, NaN, Infinity])('refuses a bound of %d', (bound) => {
    expect(failure(() => clipL2(new Float32Array(1), bound))?.code).toBe('CLIP_INVALID');
  });
});

describe('an update that is not finite', () => {
  const spans = [
    { name: 'fc1.weight', offset: 0, length: 6 },
    { name: 'fc1.bias', offset: 6, length: 3 },
  ];

  test.each([NaN, Infinity, -Infinity])(
    'with %d is refused, unchanged, naming the tensor',
    (bad) => {
      const update = new Float32Array(9).fill(10);
      update[7] = bad;
      const error = failure(() => clipL2(update, 1, spans));
      expect(error?.code).toBe('UPDATE_NOT_FINITE');
      expect(error?.message).toBe('tensor fc1.bias, element 1 of 3 (coordinates 6 to 8)');
      expect(update[0]).toBe(10);
    },
  );

  test('is named by its coordinate where no span covers it', () => {
    const update = Float64Array.of(1, NaN);
    expect(failure(() => checkFinite(update))?.message).toBe('coordinate 1 of 2');
  });

  test('spans must lie inside the update', () => {
    for (const [offset, length] of [
      [-1, 2],
      [8, 2],
      [0.5, 1],
    ] as const) {
      const act = () => checkFinite(new Float32Array(9), [{ name: 'x', offset, length }]);
      expect(failure(act)?.code).toBe('CLIP_INVALID');
    }
  });
});
