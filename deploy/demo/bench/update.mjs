import { createHash } from 'node:crypto';

/** Test rows that every agent of the bench claims to have. */
export const PRETENDED_ROWS = 20;
/** Every coordinate of a pretended update is within this. */
export const COORDINATE = 0.25;
/** Rows at most; weights are a little below. */
export const WEIGHT_CAP = 50;

/** Training rows that a silo claims; from 41 to 49. */
export function pretendedWeight(silo) {
  return 41 + (seedOf(silo) % 9);
}

/** The update that a silo claims: the same each time, so that the exact mean is known. */
export function pretendedUpdate(silo, length) {
  const update = new Float32Array(length);
  let word = seedOf(silo);
  for (let i = 0; i < length; i++) {
    // Numerical Recipes' generator; any spread over the range will do.
    word = (Math.imul(word, 1664525) + 1013904223) >>> 0;
    update[i] = COORDINATE * (word / 2 ** 31 - 1);
  }
  return update;
}

function seedOf(silo) {
  return createHash('sha256').update(silo).digest().readUInt32LE();
}
