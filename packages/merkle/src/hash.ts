import { sha256 } from '@medley/kit';

/** Bytes of one hash (SHA-256). */
export const HASH_BYTES = 32;

// RFC 6962 section 2.1: distinct prefixes keep a leaf from passing as a node and the reverse.
const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);

/** Hash of one entry: SHA-256(0x00 || data). RFC 6962 section 2.1. */
export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(LEAF_PREFIX, data);
}

/** Hash of an inner node: SHA-256(0x01 || left || right). RFC 6962 section 2.1. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, left, right);
}

/** Root of the tree without entries: SHA-256 of nothing. RFC 6962 section 2.1. */
export function emptyRoot(): Uint8Array {
  return sha256();
}

/** True for 32 bytes of any byte array; `value` may come from a peer and be anything. */
export function isHash(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length === HASH_BYTES;
}
