import { createCipheriv, hkdfSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { fromHex, seededRng, toHex, utf8 } from '@medley/kit';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { chiSquareOneInAMillion, chiSquareUniform } from '../../../../tests/support/statistics.ts';
import { vectorBytes } from '../arithmetic/ring.ts';
import { applyMask, deriveKey, pairMaskKey, pairSign, selfMaskKey } from './masks.ts';

const hex = (text: string) => fromHex(text)!;

describe('primitives', () => {
  test('HKDF-SHA-256 gives RFC 5869 appendix A.1', () => {
    const okm = hkdfSync(
      'sha256',
      new Uint8Array(22).fill(0x0b),
      hex('000102030405060708090a0b0c'),
      hex('f0f1f2f3f4f5f6f7f8f9'),
      42,
    );
    expect(toHex(new Uint8Array(okm))).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  test('the mask is AES-256-CTR from a zero counter: NIST SP 800-38A keys its blocks', () => {
    // SP 800-38A F.5.5, key K; AES-256-ECB of F.1.5 under the same key is the counter-mode block,
    // so that masking at counter zero equals encrypting sixteen zero bytes.
    const key = hex('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4');
    const mask = new Uint32Array(8);
    applyMask(mask, key, 1);
    const ecb = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const blocks = new Uint8Array(32);
    blocks[31] = 1;
    expect(toHex(vectorBytes(mask))).toBe(ecb.update(blocks).toString('hex'));
    const check = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    // F.1.5, block 1.
    expect(check.update(hex('6bc1bee22e409f96e93d7e117393172a')).toString('hex')).toBe(
      'f3eed1bdb5d2a03c064b5a7e3db181f8',
    );
  });
});

describe('applyMask', () => {
  const key = seededRng('key').bytes(32);

  test.each([1, 3, 4, 16_383, 16_384, 16_385, 50_001])(
    'adds and takes away the same %i words',
    (length) => {
      const vector = Uint32Array.from({ length }, (_, i) => i * 2_654_435_761);
      const masked = vector.slice();
      applyMask(masked, key, 1);
      const stream = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
      const bytes = stream.update(new Uint8Array(4 * length));
      for (const i of [0, length >> 1, length - 1]) {
        expect(masked[i]).toBe((vector[i]! + bytes.readUInt32LE(4 * i)) >>> 0);
      }
      applyMask(masked, key, -1);
      expect(masked).toEqual(vector);
    },
  );

  test('gives the same words when a vector is masked in pieces', () => {
    const whole = new Uint32Array(40_000);
    applyMask(whole, key, 1);
    const pieces = new Uint32Array(40_000);
    for (const [from, to] of [
      [0, 4],
      [4, 20_000],
      [20_000, 40_000],
    ] as const) {
      applyMask(pieces.subarray(from, to), key, 1, from);
    }
    expect(pieces).toEqual(whole);
  });

  test.each([-4, 2, 4.5])('refuses a piece that starts at word %d', (from) => {
    expect(codeOf(() => applyMask(new Uint32Array(4), key, 1, from))).toBe('SECAGG_LENGTH');
  });

  // n = 262,144 words of a masked constant vector, top and bottom byte in 256 cells each,
  // chi-square with 255 degrees, false-alarm rate 10^-6 for each.
  test('makes a constant vector uniform', () => {
    const masked = new Uint32Array(262_144).fill(12_345);
    applyMask(masked, key, 1);
    for (const shift of [0, 24]) {
      const cells = new Array<number>(256).fill(0);
      for (const word of masked) cells[(word >>> shift) & 255]! += 1;
      expect(chiSquareUniform(cells)).toBeLessThan(chiSquareOneInAMillion(255));
    }
  });
});

describe('key derivation', () => {
  const secret = seededRng('secret').bytes(32);
  const sid = seededRng('sid').bytes(32);

  test('is HKDF with the session id as salt and the purpose as info', () => {
    const direct = hkdfSync('sha256', secret, sid, utf8('medley/secagg/v1/share/2/7'), 32);
    expect(deriveKey(secret, sid, 'share', 2, 7)).toEqual(new Uint8Array(direct));
  });

  test('separates purposes, sessions and directions, but not the two ends of a pair', () => {
    const other = seededRng('other sid').bytes(32);
    const keys = [
      deriveKey(secret, sid, 'share', 1, 2),
      deriveKey(secret, sid, 'share', 2, 1),
      deriveKey(secret, sid, 'mask', 1, 2),
      deriveKey(secret, other, 'mask', 1, 2),
      selfMaskKey(secret, sid, 1),
      selfMaskKey(secret, sid, 12),
    ].map(toHex);
    expect(new Set(keys).size).toBe(keys.length);
    expect(pairMaskKey(secret, sid, 9, 4)).toEqual(pairMaskKey(secret, sid, 4, 9));
    expect(pairSign(9, 4) + pairSign(4, 9)).toBe(0);
  });
});
