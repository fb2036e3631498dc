import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import fc from 'fast-check';
import { TestSession, codeOf, termsFor } from '../../../../tests/support/secagg.ts';
import { addInto, vectorBytes } from '../arithmetic/ring.ts';
import { decodeSum, encodeVector, slotStep } from '../arithmetic/quantize.ts';
import { planUnmask, removeMasks } from '../coordinator/unmask.ts';
import { checkTerms, layoutLength, sessionId, type VectorLayout } from '../session.ts';
import { packVector, reduceVector, unpackVector, wireLength } from './packed.ts';

const layouts = fc
  .array(
    fc.tuple(
      fc.constantFrom(32 as const, 16 as const, 12 as const),
      fc.integer({ min: 1, max: 9 }),
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((slots): VectorLayout =>
    slots.map(([ringBits, length], i) => ({
      ...{ name: `s${i}`, length, bound: 1, bits: 6 },
      ...(ringBits !== 32 && { ringBits }),
    })),
  );
const filled = layouts.chain((layout) => {
  const length = layoutLength(layout);
  return fc.tuple(
    fc.constant(layout),
    fc.uint32Array({ minLength: length, maxLength: length, size: 'max' }),
  );
});

describe('the wire form of a vector', () => {
  test('read again gives every word as its ring holds it', () => {
    fc.assert(
      fc.property(filled, ([layout, words]) => {
        const bytes = packVector(layout, words);
        expect(bytes.length).toBe(wireLength(layout));
        const read = unpackVector(layout, bytes);
        const reduced = words.slice();
        reduceVector(layout, reduced);
        expect(read).toEqual(reduced);
        expect(packVector(layout, read)).toEqual(bytes);
      }),
    );
  });

  test('has the bytes that the protocol says', () => {
    const slot = { name: 'u', length: 3, bound: 1, bits: 6 };
    const words = Uint32Array.of(0x123, 0xffff_f456, 0x789);
    expect([...packVector([{ ...slot, ringBits: 12 }], words)]).toEqual([
      ...[0x23, 0x61, 0x45],
      ...[0x89, 0x07],
    ]);
    expect([...packVector([{ ...slot, ringBits: 16 }], words)]).toEqual([
      ...[0x23, 0x01, 0x56, 0xf4, 0x89, 0x07],
    ]);
    expect(packVector([slot], words).buffer).toBe(words.buffer);
  });

  test('of another length, or with bits beyond the last word, is refused', () => {
    const layout: VectorLayout = [{ name: 'u', length: 3, bound: 1, bits: 6, ringBits: 12 }];
    expect(codeOf(() => unpackVector(layout, new Uint8Array(4)))).toBe('SECAGG_LENGTH');
    expect(codeOf(() => unpackVector(layout, new Uint8Array(6)))).toBe('SECAGG_LENGTH');
    const stray = Uint8Array.of(0, 0, 0, 0, 0x10);
    expect(codeOf(() => unpackVector(layout, stray))).toBe('SECAGG_LENGTH');
    expect(codeOf(() => packVector(layout, new Uint32Array(2)))).toBe('SECAGG_LENGTH');
  });
});

describe.each([
  [16, 5, 13],
  [12, 5, 9],
  [12, 3, 10],
] as const)('a session in a ring of %i bits with %i silos of %i bits', (ringBits, n, bits) => {
  const slot = { name: 'update', length: 41, bound: 0.5, bits, ringBits };
  const terms = termsFor(n, { layout: [slot, { name: 'n', length: 1, bound: 99, bits: 22 }] });

  test('opens the sum that the silos encoded, also where every word is at its limit', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (seed, isExtreme) => {
        const rng = seededRng(seed);
        const updates = terms.roster.map((_, i) =>
          Float64Array.from({ length: 41 }, (_v, at) =>
            isExtreme ? (at % 2 === 0 ? 0.5 : -0.5) : (rng.bytes(1)[0]! - 128) / 256 + 0 * i,
          ),
        );
        const vectors = updates.map((update) =>
          encodeVector(terms.layout, { update, n: Float64Array.of(3) }, rng),
        );
        const session = new TestSession({ terms, vectors, seed }).runThrough('release');
        // What the aggregator has are packed vectors.
        const sum = new Uint32Array(42);
        for (const words of session.masked.values()) {
          addInto(sum, unpackVector(terms.layout, packVector(terms.layout, words)));
        }
        removeMasks(sum, planUnmask(terms, session.coordinator));
        reduceVector(terms.layout, sum);
        const plain = new Uint32Array(42);
        for (const vector of vectors) addInto(plain, vector);
        expect(sum).toEqual(plain);
        const decoded = decodeSum(terms.layout, sum);
        expect(decoded['n']![0]).toBeCloseTo(3 * n, 3);
        for (let at = 0; at < 41; at++) {
          const exact = updates.reduce((total, update) => total + update[at]!, 0);
          const error = Math.abs(decoded['update']![at]! - exact);
          expect(error).toBeLessThanOrEqual(n * slotStep(slot) * (1 + 1e-12));
        }
      }),
      { numRuns: 10 },
    );
  });

  test('is refused with one bit more, which could wrap', () => {
    expect(codeOf(() => checkTerms(terms))).toBeUndefined();
    const wider = { ...terms, layout: [{ ...slot, bits: bits + 1 }] };
    expect(codeOf(() => checkTerms(wider))).toBe('SECAGG_TERMS_OVERFLOW');
  });

  test('is another session than the same in the whole ring', () => {
    const { name, length, bound } = slot;
    const wide = { name, length, bound, bits };
    const other = { ...terms, layout: [wide, ...terms.layout.slice(1)] };
    expect(sessionId(other)).not.toEqual(sessionId(terms));
  });
});

test('a ring of another width is no layout', () => {
  const layout = [{ name: 'u', length: 1, bound: 1, bits: 4, ringBits: 8 as 16 }];
  expect(codeOf(() => checkTerms(termsFor(3, { layout })))).toBe('SECAGG_TERMS_LAYOUT');
});

test('masked words that travel packed show nothing above their ring', () => {
  const layout: VectorLayout = [{ name: 'u', length: 2, bound: 1, bits: 6, ringBits: 12 }];
  const a = Uint32Array.of(0xabcd_e123, 0x1234_5678);
  const b = a.map((word) => word & 0xfff);
  expect(packVector(layout, a)).toEqual(packVector(layout, b));
  expect(vectorBytes(a)).not.toEqual(vectorBytes(b));
});
