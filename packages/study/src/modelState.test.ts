import { describe, expect, test } from '@jest/globals';
import { isMedleyError, sha256, toHex } from '@medley/kit';
import fc from 'fast-check';
import { decodeModelState, encodeModelState, modelInput, modelStateHash } from './modelState.ts';

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const positive = fc.double({ min: 1e-12, max: 1e12, noNaN: true });
const standardisation = fc.array(fc.tuple(finite, positive), { maxLength: 8 }).map((columns) => ({
  mean: Float64Array.from(columns, ([mean]) => mean + 0),
  scale: Float64Array.from(columns, ([, scale]) => scale),
}));
const states = fc.record({
  parameters: fc.float32Array({ maxLength: 40, noNaN: true, noDefaultInfinity: true }),
  standardisation: fc.option(standardisation),
});
const example = encodeModelState({
  parameters: Float32Array.of(0.5, -1, 3),
  standardisation: { mean: Float64Array.of(1, 0), scale: Float64Array.of(2, 1) },
});

function refused(bytes: Uint8Array): void {
  try {
    decodeModelState(bytes);
  } catch (caught) {
    if (isMedleyError(caught) && caught.code === 'MODEL_STATE_INVALID') return;
    throw caught;
  }
  throw new Error('nothing was thrown');
}

describe('model state', () => {
  test('comes back bit for bit, also from the middle of a buffer', () => {
    fc.assert(
      fc.property(states, fc.nat(7), (state, offset) => {
        const bytes = encodeModelState(state);
        const buffer = new Uint8Array(bytes.length + offset);
        buffer.set(bytes, offset);
        const back = decodeModelState(buffer.subarray(offset));
        expect(encodeModelState(back)).toEqual(bytes);
        expect(Array.from(back.parameters)).toEqual(Array.from(state.parameters));
        expect(back.standardisation === null).toBe(state.standardisation === null);
      }),
    );
  });

  test('has one pinned byte form', () => {
    expect(new TextDecoder().decode(example.slice(9, -12))).toBe(
      '{"parameters":3,"standardisation":{"mean":[1,0],"scale":[2,1]}}',
    );
    expect(modelStateHash(example)).toBe(toHex(sha256(example)));
    expect(toHex(example.slice(-12))).toBe('0000003f000080bf00004040');
  });

  test('refuses NaN and Infinity on both ways', () => {
    for (const value of [NaN, Infinity, -Infinity]) {
      const parameters = Float32Array.of(value);
      expect(() => encodeModelState({ parameters, standardisation: null })).toThrow(/finite/);
      const bytes = encodeModelState({ parameters: Float32Array.of(0), standardisation: null });
      new DataView(bytes.buffer).setFloat32(bytes.length - 4, value, true);
      refused(bytes);
    }
    const parameters = new Float32Array();
    for (const scale of [0, -1, NaN]) {
      expect(() =>
        encodeModelState({
          parameters,
          standardisation: { mean: Float64Array.of(0), scale: Float64Array.of(scale) },
        }),
      ).toThrow(/positive scales/);
    }
  });

  test('refuses every truncation and every longer form', () => {
    for (let length = 0; length < example.length; length++) refused(example.slice(0, length));
    refused(new Uint8Array([...example, 0]));
  });

  test('refuses a header that is not canonical', () => {
    const spaced = (text: string): Uint8Array => {
      const header = new TextEncoder().encode(text);
      const bytes = new Uint8Array(9 + header.length);
      bytes.set(example.slice(0, 5));
      new DataView(bytes.buffer).setUint32(5, header.length, true);
      bytes.set(header, 9);
      return bytes;
    };
    expect(
      decodeModelState(spaced('{"parameters":0,"standardisation":null}')).parameters,
    ).toHaveLength(0);
    refused(spaced('{"parameters":0, "standardisation":null}'));
    refused(spaced('{"parameters":0,"parameters":0,"standardisation":null}'));
    refused(spaced('{"extra":1,"parameters":0,"standardisation":null}'));
    refused(spaced('[]'));
  });

  test('answers mutated bytes with its own code only', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(example.length - 1), fc.nat(255))), (changes) => {
        const hostile = example.slice();
        for (const [at, value] of changes) hostile[at] = value;
        try {
          decodeModelState(hostile);
        } catch (caught) {
          if (!isMedleyError(caught) || caught.code !== 'MODEL_STATE_INVALID') throw caught;
        }
      }),
    );
  });
});

describe('model input', () => {
  const rows = [Float64Array.of(3, 1), Float64Array.of(1, 0)];

  test('standardises row by row', () => {
    const { standardisation: known } = decodeModelState(example);
    expect(Array.from(modelInput(known, rows))).toEqual([1, 1, 0, 0]);
    expect(Array.from(modelInput(null, rows))).toEqual([3, 1, 1, 0]);
    expect(modelInput(known, [])).toHaveLength(0);
  });

  test('refuses rows of another width', () => {
    const { standardisation: known } = decodeModelState(example);
    expect(() => modelInput(known, [Float64Array.of(1)])).toThrow(/columns/);
    expect(() => modelInput(null, [Float64Array.of(1), Float64Array.of(1, 2)])).toThrow(/columns/);
  });
});
