import { MedleyError } from '@medley/kit';
import { vectorBytes, vectorFromBytes } from '../arithmetic/ring.ts';
import { layoutLength, type Slot, type VectorLayout } from '../session.ts';

/**
 * The wire form of a vector: slots in order, each packed at its ring's width, little-endian. 32 bits:
 * 4 bytes a word. 16: 2 bytes. 12: 3 bytes for two words, the first in the low bits; an odd last word
 * takes 2 bytes whose top 4 bits are 0. Arithmetic is mod 2^32 throughout: the low bits of a sum are
 * the sum of the low bits, so that only what a slot's ring holds needs to travel.
 */
export function wireLength(layout: VectorLayout): number {
  return layout.reduce((sum, slot) => sum + slotBytes(slot), 0);
}

/** The bits of a slot's ring; 32 where it states none. */
export function ringBitsOf(slot: Slot): 32 | 16 | 12 {
  return slot.ringBits ?? 32;
}

/**
 * The wire form of `words`; what stands above a slot's ring is left out. A view on the words' own
 * memory where every slot has 32 bits. Throws SECAGG_LENGTH.
 */
export function packVector(layout: VectorLayout, words: Uint32Array): Uint8Array {
  if (words.length !== layoutLength(layout)) {
    throw new MedleyError(
      'SECAGG_LENGTH',
      `${words.length} words for ${layoutLength(layout)} coordinates`,
    );
  }
  if (isPlain(layout)) return vectorBytes(words);
  const bytes = new Uint8Array(wireLength(layout));
  let word = 0;
  let at = 0;
  for (const slot of layout) {
    const part = words.subarray(word, word + slot.length);
    const to = bytes.subarray(at, at + slotBytes(slot));
    switch (ringBitsOf(slot)) {
      case 32:
        to.set(vectorBytes(part));
        break;
      case 16:
        pack16(part, to);
        break;
      case 12:
        pack12(part, to);
    }
    word += slot.length;
    at += to.length;
  }
  return bytes;
}

/**
 * The words behind a wire form, a copy; words of a narrow ring are extended by their sign, so that they
 * read as the signed numbers they stand for. Throws SECAGG_LENGTH, also for bits that are not 0 where
 * no word stands.
 */
export function unpackVector(layout: VectorLayout, bytes: Uint8Array): Uint32Array {
  if (bytes.length !== wireLength(layout)) {
    throw new MedleyError('SECAGG_LENGTH', `${bytes.length} bytes, not ${wireLength(layout)}`);
  }
  if (isPlain(layout)) return vectorFromBytes(bytes);
  const words = new Uint32Array(layoutLength(layout));
  let word = 0;
  let at = 0;
  for (const slot of layout) {
    const part = words.subarray(word, word + slot.length);
    const from = bytes.subarray(at, at + slotBytes(slot));
    switch (ringBitsOf(slot)) {
      case 32:
        vectorBytes(part).set(from);
        break;
      case 16:
        for (let i = 0; i < part.length; i++) {
          part[i] = ((from[2 * i]! | (from[2 * i + 1]! << 8)) << 16) >> 16;
        }
        break;
      case 12:
        unpack12(from, part);
    }
    word += slot.length;
    at += from.length;
  }
  return words;
}

/**
 * Reads each word of a narrow ring, in place, as the signed number that its low bits stand for: what a
 * sum means once its masks are out. Cannot wrap when the session's terms were checked.
 */
export function reduceVector(layout: VectorLayout, words: Uint32Array): void {
  let at = 0;
  for (const slot of layout) {
    const shift = 32 - ringBitsOf(slot);
    const end = at + slot.length;
    if (shift > 0) for (let i = at; i < end; i++) words[i] = (words[i]! << shift) >> shift;
    at = end;
  }
}

/** True when the wire form is the memory of the words. */
export function isPlain(layout: VectorLayout): boolean {
  return layout.every((slot) => ringBitsOf(slot) === 32);
}

function slotBytes(slot: Slot): number {
  return Math.ceil((slot.length * ringBitsOf(slot)) / 8);
}

function pack16(words: Uint32Array, to: Uint8Array): void {
  for (let i = 0; i < words.length; i++) {
    to[2 * i] = words[i]!;
    to[2 * i + 1] = words[i]! >>> 8;
  }
}

function pack12(words: Uint32Array, to: Uint8Array): void {
  let at = 0;
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i]! & 0xfff;
    const high = (words[i + 1] ?? 0) & 0xfff;
    to[at++] = low;
    to[at++] = (low >>> 8) | (high << 4);
    if (i + 1 < words.length) to[at++] = high >>> 4;
  }
}

function unpack12(from: Uint8Array, words: Uint32Array): void {
  let at = 0;
  for (let i = 0; i < words.length; i += 2) {
    const low = from[at++]!;
    const middle = from[at++]!;
    words[i] = ((low | ((middle & 15) << 8)) << 20) >> 20;
    if (i + 1 < words.length) {
      words[i + 1] = (((middle >>> 4) | (from[at++]! << 4)) << 20) >> 20;
    } else if (middle >>> 4 !== 0) {
      throw new MedleyError('SECAGG_LENGTH', 'bits beyond the last word');
    }
  }
}
