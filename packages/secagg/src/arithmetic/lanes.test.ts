import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { vectorBytes } from './ring.ts';
import { PIECE_WORDS, plainLanes, threadLanes, vectorLanes, type Lanes } from './lanes.ts';

const kinds: [string, Lanes | undefined][] = [
  ['in plain JavaScript', plainLanes()],
  ['of the vector unit', vectorLanes()],
];

test('this engine has a vector unit, and threads use it', () => {
  expect(vectorLanes()).toBeDefined();
  expect(threadLanes()).toBe(threadLanes());
});

describe.each(kinds)('lanes %s', (_kind, lanes) => {
  const { piece, add, subtract } = lanes!;
  const words = (min: number, max: number) =>
    fc.uint32Array({ minLength: min, maxLength: max, size: 'max' });

  test('add and subtract word by word, mod 2^32, for every length', () => {
    fc.assert(
      fc.property(
        words(0, 70).chain((a) => fc.tuple(fc.constant(a), words(a.length, a.length))),
        ([a, b]) => {
          const bytes = vectorBytes(a);
          const taken = () => {
            const out = new Uint32Array(a.length);
            vectorBytes(out).set(piece.subarray(0, bytes.length));
            return out;
          };
          piece.set(bytes);
          add(vectorBytes(b));
          expect(taken()).toEqual(a.map((word, i) => (word + b[i]!) >>> 0));
          subtract(vectorBytes(b));
          expect(taken()).toEqual(a);
        },
      ),
    );
  });

  test('take a whole piece, and an addend that stands on an odd address', () => {
    const odd = new Uint8Array(4 * PIECE_WORDS + 1).subarray(1).fill(1);
    piece.fill(255);
    add(odd);
    expect(new Set(piece)).toEqual(new Set([0, 1]));
    expect([...piece.subarray(-4)]).toEqual([0, 1, 1, 1]);
    subtract(odd);
    expect(piece.every((byte) => byte === 255)).toBe(true);
  });
});
