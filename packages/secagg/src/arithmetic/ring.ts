import { MedleyError, sha256 } from '@medley/kit';
import { threadLanes } from './lanes.ts';

/** Adds `words` into `target`, coordinate by coordinate mod 2^32. Throws SECAGG_LENGTH. */
export function addInto(target: Uint32Array, words: Uint32Array): void {
  checkSameLength(target, words);
  inPieces(target, words, threadLanes().add);
}

/** Subtracts `words` from `target` in place, mod 2^32. Throws SECAGG_LENGTH. */
export function subtractFrom(target: Uint32Array, words: Uint32Array): void {
  checkSameLength(target, words);
  inPieces(target, words, threadLanes().subtract);
}

function inPieces(
  target: Uint32Array,
  words: Uint32Array,
  apply: (words: Uint8Array) => void,
): void {
  const { piece } = threadLanes();
  const [to, from] = [vectorBytes(target), vectorBytes(words)];
  for (let at = 0; at < to.length; at += piece.length) {
    const part = to.subarray(at, at + piece.length);
    piece.set(part);
    apply(from.subarray(at, at + part.length));
    part.set(piece.subarray(0, part.length));
  }
}

/**
 * Vectors are little-endian on the wire and are read in place here. Throws SECAGG_PLATFORM on a
 * big-endian machine.
 */
export function requireLittleEndian(): void {
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) {
    throw new MedleyError('SECAGG_PLATFORM', 'this machine is big-endian');
  }
}

/** The wire form of a vector: a view on its own memory, 4 bytes per word, little-endian. */
export function vectorBytes(words: Uint32Array): Uint8Array {
  requireLittleEndian();
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** The vector whose wire form is `bytes`; a copy. Throws SECAGG_LENGTH. */
export function vectorFromBytes(bytes: Uint8Array): Uint32Array {
  requireLittleEndian();
  if (bytes.length % 4 !== 0) {
    throw new MedleyError('SECAGG_LENGTH', `${bytes.length} bytes are no whole number of words`);
  }
  const words = new Uint32Array(bytes.length / 4);
  new Uint8Array(words.buffer).set(bytes);
  return words;
}

/** SHA-256 of the wire form: the hash that a masked header signs and that names the stored blob. */
export function hashVector(words: Uint32Array): Uint8Array {
  return sha256(vectorBytes(words));
}

function checkSameLength(a: Uint32Array, b: Uint32Array): void {
  if (a.length !== b.length) {
    throw new MedleyError('SECAGG_LENGTH', `vectors of ${a.length} and ${b.length} words`);
  }
}
