import { createCipheriv, hkdfSync } from 'node:crypto';
import { MedleyError, utf8 } from '@medley/kit';
import { PIECE_WORDS, threadLanes } from '../arithmetic/lanes.ts';
import { vectorBytes } from '../arithmetic/ring.ts';

/** What is encrypted to get the keystream itself. Never written to. */
const ZEROS = new Uint8Array(4 * PIECE_WORDS);
/** Ciphers open at a time: bounds memory when thousands of masks are taken out of one sum. */
const MOST_STREAMS = 256;
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

/** One mask: the keystream of `key`, added (`sign` 1) or subtracted (−1). One key is for one mask only. */
export interface Mask {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly sign: 1 | -1;
}

/**
 * Applies masks to `target`, mod 2^32, in place. A mask's stream is AES-256-CTR from a zero counter,
 * read as little-endian words. Each piece of the target is read and written once for all masks.
 *
 * @param firstWord where `target` starts in the whole vector, a multiple of 4, so that a vector can
 *   be masked in pieces.
 * Throws SECAGG_LENGTH, SECAGG_PLATFORM.
 */
export function applyMasks(target: Uint32Array, masks: readonly Mask[], firstWord = 0): void {
  const bytes = vectorBytes(target);
  const counter = counterAt(firstWord);
  const { piece, add, subtract } = threadLanes();
  for (let first = 0; first < masks.length; first += MOST_STREAMS) {
    const streams = masks.slice(first, first + MOST_STREAMS).map(({ key, sign }) => ({
      cipher: createCipheriv('aes-256-ctr', key, counter),
      apply: sign === 1 ? add : subtract,
    }));
    for (let at = 0; at < bytes.length; at += piece.length) {
      const part = bytes.subarray(at, at + piece.length);
      const zeros = ZEROS.subarray(0, part.length);
      piece.set(part);
      for (const { cipher, apply } of streams) apply(cipher.update(zeros));
      part.set(piece.subarray(0, part.length));
    }
  }
}

/** {@link applyMasks} of a single mask. */
export function applyMask(target: Uint32Array, key: Uint8Array, sign: 1 | -1, firstWord = 0): void {
  applyMasks(target, [{ key, sign }], firstWord);
}

function counterAt(firstWord: number): Uint8Array {
  if (!Number.isSafeInteger(firstWord) || firstWord < 0 || firstWord % WORDS_PER_BLOCK !== 0) {
    throw new MedleyError('SECAGG_LENGTH', `a piece of a mask cannot start at word ${firstWord}`);
  }
  const block = new Uint8Array(16);
  new DataView(block.buffer).setBigUint64(8, BigInt(firstWord / WORDS_PER_BLOCK));
  return block;
}
