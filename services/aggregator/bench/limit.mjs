import { createCipheriv } from 'node:crypto';
import { applyMask } from '@medley/secagg';

const WORDS = 1e7;
const PIECE_BYTES = 65_536;
const RUNS = 9;

/** Medians of several runs by turns: one mask over 10^7 words, and what it cannot be faster than. */
export function measureLimits() {
  const vector = new Uint32Array(WORDS);
  const key = new Uint8Array(32).fill(7);
  const masks = [];
  const limits = [];
  for (let run = 0; run < RUNS; run++) {
    masks.push(timed(() => applyMask(vector, key, 1)));
    limits.push(timed(() => keystream(key, 4 * WORDS)) + timed(() => vector.fill(run)));
  }
  return { mask1e7: { ms: median(masks) }, limit1e7: { ms: median(limits) } };
}

/** The cipher alone, in the pieces that suit it best. */
function keystream(key, length) {
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  const zeros = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < length; at += PIECE_BYTES) cipher.update(zeros.subarray(0, length - at));
}

function timed(work) {
  const began = performance.now();
  work();
  return performance.now() - began;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
