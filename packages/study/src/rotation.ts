import { seededRng } from '@medley/kit';
import { charterHash, type Charter } from './charter.ts';

/** Largest block: 128 KiB of doubles, which stay in the cache. */
const MOST = 2 ** 14;
/** Padding of at most this share of the parameters. */
const MOST_PADDING = 1 / 8;
/** Below this a rotation spreads too little to be worth padding. */
const LEAST = 8;

/** Length of the blocks that `parameters` coordinates are rotated in: a power of two from 8 to 16,384. */
export function rotationBlock(parameters: number): number {
  let block = MOST;
  while (block > LEAST && padded(parameters, block) > parameters * (1 + MOST_PADDING)) block /= 2;
  return block;
}

/** Words of a rotated update: the parameters padded with zeros to whole blocks. */
export function rotatedLength(parameters: number): number {
  return padded(parameters, rotationBlock(parameters));
}

/**
 * The update of `parameters` coordinates, padded and rotated: each block times random signs, then the
 * Walsh–Hadamard transform over √block (Suresh et al. 2017, "Distributed mean estimation with limited
 * communication", section 3). Lengths are kept and outliers are spread over their block, so that a
 * quantiser of few bits may have a small range. The signs follow from the charter, the same for every
 * silo and round: they are for accuracy and hide nothing.
 */
export function rotate(charter: Charter, update: Float64Array): Float64Array {
  const block = rotationBlock(update.length);
  const rotated = new Float64Array(padded(update.length, block));
  rotated.set(update);
  flip(charter, rotated);
  transform(rotated, block);
  return rotated;
}

/** The update behind a rotated one, in place; what stands beyond `parameters` is padding. */
export function unrotate(
  charter: Charter,
  rotated: Float64Array,
  parameters: number,
): Float64Array {
  transform(rotated, rotationBlock(parameters));
  flip(charter, rotated);
  return rotated.subarray(0, parameters);
}

function padded(parameters: number, block: number): number {
  return Math.ceil(parameters / block) * block;
}

function flip(charter: Charter, values: Float64Array): void {
  const rng = seededRng(JSON.stringify(['medley/rotation/v1', charterHash(charter)]));
  const bits = rng.bytes(Math.ceil(values.length / 8));
  for (let i = 0; i < values.length; i++) {
    if (((bits[i >> 3]! >> (i & 7)) & 1) === 1) values[i] = -values[i]!;
  }
}

/** Its own inverse. Sums in a fixed order, so that every machine gets the same bits. */
function transform(values: Float64Array, block: number): void {
  const scale = 1 / Math.sqrt(block);
  for (let start = 0; start < values.length; start += block) {
    for (let half = 1; half < block; half *= 2) {
      for (let at = start; at < start + block; at += 2 * half) {
        for (let i = at; i < at + half; i++) {
          const a = values[i]!;
          const b = values[i + half]!;
          values[i] = a + b;
          values[i + half] = a - b;
        }
      }
    }
    for (let i = start; i < start + block; i++) values[i]! *= scale;
  }
}
