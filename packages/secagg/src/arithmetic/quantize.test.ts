import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import fc from 'fast-check';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { NORMAL_ONE_IN_A_MILLION } from '../../../../tests/support/statistics.ts';
import { addInto } from './ring.ts';
import { decodeSum, encodeVector, slotStep } from './quantize.ts';

const slot = (length: number, bound = 0.5, bits = 22) => ({ name: 'x', length, bound, bits });

describe('encodeVector and decodeSum', () => {
  test('give back every coordinate within one step, for any bound and width', () => {
    const shapes = fc.record({
      bound: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
      bits: fc.integer({ min: 2, max: 31 }),
      scale: fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }),
    });
    fc.assert(
      fc.property(shapes, ({ bound, bits, scale }) => {
        const layout = [slot(scale.length, bound, bits)];
        const x = Float64Array.from(scale, (s) => s * bound);
        const encoded = encodeVector(layout, { x }, seededRng('q'));
        const decoded = decodeSum(layout, encoded)['x']!;
        const step = slotStep(layout[0]!);
        decoded.forEach((value, i) => {
          expect(Math.abs(value - x[i]!)).toBeLessThanOrEqual(step * (1 + 1e-9));
          expect(Math.abs(value)).toBeLessThanOrEqual(bound * (1 + 1e-12));
        });
      }),
    );
  });

  test('add: the decoded ring sum is the sum of what each encoded', () => {
    const layout = [slot(3)];
    const sum = new Uint32Array(3);
    const silos = [
      [-0.5, 0.25, 0.1],
      [-0.5, -0.5, 0.2],
      [-0.5, 0.25, 0.3],
    ];
    silos.forEach((x, i) => {
      addInto(sum, encodeVector(layout, { x: Float32Array.from(x) }, seededRng(`${i}`)));
    });
    const step = slotStep(layout[0]!);
    const decoded = decodeSum(layout, sum)['x']!;
    [-1.5, 0, 0.6].forEach((expected, i) => {
      expect(Math.abs(decoded[i]! - expected)).toBeLessThanOrEqual(3 * step + 1e-7);
    });
  });

  test.each([2, 8, 22, 26, 31])('keep integers exactly in a slot of %i bits and step 1', (bits) => {
    const top = 2 ** (bits - 1) - 1;
    const layout = [slot(5, top, bits)];
    expect(slotStep(layout[0]!)).toBe(1);
    const x = Float64Array.of(0, 1, -1, top, -top);
    const decoded = decodeSum(layout, encodeVector(layout, { x }, seededRng('int')));
    expect([...decoded['x']!].map((value) => value + 0)).toEqual([...x]);
  });

  test('clamp to the bound on both sides', () => {
    const layout = [slot(2)];
    const x = Float64Array.of(7, -1e300);
    expect([...decodeSum(layout, encodeVector(layout, { x }, seededRng('c')))['x']!]).toEqual([
      0.5, -0.5,
    ]);
  });

  test('treat slots one after the other, over chunk borders', () => {
    const layout = [slot(20_000, 1, 16), { name: 'n', length: 1, bound: 127, bits: 8 }];
    const values = { x: new Float64Array(20_000).fill(-1), n: Float64Array.of(42) };
    const decoded = decodeSum(layout, encodeVector(layout, values, seededRng('long')));
    expect(decoded['x']!.every((value) => value === -1)).toBe(true);
    expect(decoded['n']![0]).toBe(42);
  });
});

describe('stochastic rounding', () => {
  // n = 200,000 roundings of a fraction f: the number of roundings up is binomial(n, f).
  // False-alarm rate 2 in 10^6 for each fraction. Floor rounding would give 0 ups, nearest 0 or n.
  test.each([0.1, 0.25, 0.5, 0.9])('is unbiased at fraction %d, for negative values too', (f) => {
    const n = 200_000;
    const layout = [slot(n, 2 ** 9 - 1, 10)];
    for (const whole of [3, -4]) {
      const x = new Float64Array(n).fill(whole + f);
      const encoded = encodeVector(layout, { x }, seededRng(`unbiased ${f} ${whole}`));
      const ups = encoded.reduce((count, word) => count + ((word | 0) === whole + 1 ? 1 : 0), 0);
      const downs = encoded.reduce((count, word) => count + ((word | 0) === whole ? 1 : 0), 0);
      expect(ups + downs).toBe(n);
      const z = (ups - n * f) / Math.sqrt(n * f * (1 - f));
      expect(Math.abs(z)).toBeLessThan(NORMAL_ONE_IN_A_MILLION);
    }
  });
});

describe('encodeVector refuses', () => {
  const layout = [slot(3)];
  test.each([NaN, Infinity, -Infinity])('%d and names slot and coordinate', (bad) => {
    const act = () => encodeVector(layout, { x: Float64Array.of(0, 0, bad) }, seededRng(''));
    expect(codeOf(act)).toBe('SECAGG_NOT_FINITE');
    expect(act).toThrow('slot x, coordinate 2');
  });

  test('a slot of another length, a missing slot and an unknown slot', () => {
    const encode = (values: Record<string, Float64Array>) =>
      codeOf(() => encodeVector(layout, values, seededRng('')));
    expect(encode({ x: new Float64Array(2) })).toBe('SECAGG_LENGTH');
    expect(encode({})).toBe('SECAGG_LENGTH');
    expect(encode({ x: new Float64Array(3), y: new Float64Array(1) })).toBe('SECAGG_LENGTH');
  });

  test('and decodeSum a sum of another length', () => {
    expect(codeOf(() => decodeSum(layout, new Uint32Array(4)))).toBe('SECAGG_LENGTH');
  });
});
