import { createCipheriv, hkdfSync } from 'node:crypto';
import { MedleyError, utf8 } from '@medley/kit';
import { requireLittleEndian } from '../arithmetic/ring.ts';

/** Keystream produced at a time: 64 KiB, which stays in the cache. */
const CHUNK_WORDS = 16_384;
const WORDS_PER_BLOCK = 4;

/** What a derived key is for; part of HKDF's info, so that no key serves twice. */
export type KeyPurpose = 'share' | 'mask' | 'self';

/**
 * A 32-byte key: HKDF-SHA-256 (RFC 5869) with the session id as salt and
 * `medley/secagg/v1/<purpose>/<index>/…` as info. Indices are roster indices in a fixed order.
 */
export function deriveKey(
  secret: Uint8Array,
  sid: Uint8Array,
  purpose: KeyPurpose,
  ...indices: readonly number[]
): Uint8Array {
  const info = ['medley/secagg/v1', purpose, ...indices].join('/');
  return new Uint8Array(hkdfSync('sha256', secret, sid, utf8(info), 32));
}

/** The key of the mask that silos `u` and `v` share; symmetric in them. */
export function pairMaskKey(agreed: Uint8Array, sid: Uint8Array, u: number, v: number): Uint8Array {
  return deriveKey(agreed, sid, 'mask', Math.min(u, v), Math.max(u, v));
}

/** The key of silo `u`'s own mask, from its seed b_u. */
export function selfMaskKey(seed: Uint8Array, sid: Uint8Array, u: number): Uint8Array {
  return deriveKey(seed, sid, 'self', u);
}

/** The sign with which silo `me` applies the mask it shares with `peer`: they cancel in the sum. */
export function pairSign(me: number, peer: number): 1 | -1 {
  return peer < me ? 1 : -1;
}

/**
 * Adds (`sign` 1) or subtracts (−1) the keystream of `key` into `target`, mod 2^32, in place. The
 * stream is AES-256-CTR from a zero counter, read as little-endian words; one key is used for one
 * mask only.
 *
 * @param firstWord where `target` starts in the whole vector, a multiple of 4, so that a vector can
 *   be masked in pieces.
 * Throws SECAGG_LENGTH, SECAGG_PLATFORM.
 */
export function applyMask(target: Uint32Array, key: Uint8Array, sign: 1 | -1, firstWord = 0): void {
  requireLittleEndian();
  const cipher = createCipheriv('aes-256-ctr', key, counterAt(firstWord));
  const zeros = new Uint8Array(4 * Math.min(CHUNK_WORDS, target.length));
  for (let start = 0; start < target.length; start += CHUNK_WORDS) {
    const count = Math.min(CHUNK_WORDS, target.length - start);
    const words = asWords(cipher.update(zeros.subarray(0, 4 * count)));
    if (sign === 1) {
      for (let i = 0; i < count; i++) target[start + i] = (target[start + i]! + words[i]!) >>> 0;
    } else {
      for (let i = 0; i < count; i++) target[start + i] = (target[start + i]! - words[i]!) >>> 0;
    }
  }
}

function counterAt(firstWord: number): Uint8Array {
  if (!Number.isSafeInteger(firstWord) || firstWord < 0 || firstWord % WORDS_PER_BLOCK !== 0) {
    throw new MedleyError('SECAGG_LENGTH', `a piece of a mask cannot start at word ${firstWord}`);
  }
  const block = new Uint8Array(16);
  new DataView(block.buffer).setBigUint64(8, BigInt(firstWord / WORDS_PER_BLOCK));
  return block;
}

function asWords(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
