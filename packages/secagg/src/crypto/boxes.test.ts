import { expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { FIELD_PRIME, randomElement } from '../arithmetic/shamir.ts';
import { BOX_BYTES, openBox, sealBox } from './boxes.ts';

const rng = seededRng('boxes');
const agreed = rng.bytes(32);
const address = { sid: rng.bytes(32), from: 2, to: 5 };
const pair = { seedShare: randomElement(rng), keyShare: randomElement(rng) };

test('opens what was sealed for this address', () => {
  const box = sealBox(agreed, address, pair, rng);
  expect(box).toHaveLength(BOX_BYTES);
  expect(openBox(agreed, address, box)).toEqual(pair);
});

test('never seals twice with one nonce', () => {
  const [a, b] = [sealBox(agreed, address, pair, rng), sealBox(agreed, address, pair, rng)];
  expect(a.subarray(0, 12)).not.toEqual(b.subarray(0, 12));
});

test('refuses a box of another session, sender, addressee, key or content', () => {
  const box = sealBox(agreed, address, pair, rng);
  const open = (change: Partial<typeof address>, key = agreed, bytes = box) =>
    codeOf(() => openBox(key, { ...address, ...change }, bytes));
  expect(open({ sid: rng.bytes(32) })).toBe('SECAGG_BOX_INVALID');
  expect(open({ from: 3 })).toBe('SECAGG_BOX_INVALID');
  expect(open({ to: 2, from: 5 })).toBe('SECAGG_BOX_INVALID');
  expect(open({}, rng.bytes(32))).toBe('SECAGG_BOX_INVALID');
  expect(open({}, agreed, box.subarray(1))).toBe('SECAGG_BOX_INVALID');
  for (const at of [0, 12, 50, BOX_BYTES - 1]) {
    const altered = box.slice();
    altered[at]! ^= 1;
    expect(open({}, agreed, altered)).toBe('SECAGG_BOX_INVALID');
  }
});

test('refuses a share that is no field element although the box is authentic', () => {
  const prime = Uint8Array.from(Buffer.from(FIELD_PRIME.toString(16), 'hex'));
  const box = sealBox(agreed, address, { ...pair, keyShare: prime }, rng);
  expect(codeOf(() => openBox(agreed, address, box))).toBe('SECAGG_BOX_INVALID');
});
