import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { addInto, hashVector, subtractFrom, vectorBytes, vectorFromBytes } from './ring.ts';

const words = fc.uint32Array({ minLength: 5, maxLength: 5 });

test('adds and subtracts modulo 2^32, as BigInt does', () => {
  fc.assert(
    fc.property(words, words, (a, b) => {
      const sum = a.slice();
      addInto(sum, b);
      const expected = Array.from(a, (x, i) => Number((BigInt(x) + BigInt(b[i]!)) % 2n ** 32n));
      expect([...sum]).toEqual(expected);
      subtractFrom(sum, b);
      expect([...sum]).toEqual([...a]);
    }),
  );
});

test('refuses vectors of two lengths', () => {
  expect(codeOf(() => addInto(new Uint32Array(2), new Uint32Array(3)))).toBe('SECAGG_LENGTH');
  expect(codeOf(() => subtractFrom(new Uint32Array(2), new Uint32Array(3)))).toBe('SECAGG_LENGTH');
});

test('writes words little-endian and reads them back from any alignment', () => {
  const vector = Uint32Array.of(1, 0xfffffffe);
  const bytes = vectorBytes(vector);
  expect([...bytes]).toEqual([1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff]);
  const shifted = new Uint8Array([9, ...bytes]).subarray(1);
  expect([...vectorFromBytes(shifted)]).toEqual([...vector]);
  expect(hashVector(vector)).toHaveLength(32);
});

test('refuses bytes that are no whole number of words', () => {
  expect(codeOf(() => vectorFromBytes(new Uint8Array(7)))).toBe('SECAGG_LENGTH');
});
