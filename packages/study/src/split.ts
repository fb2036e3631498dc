import { canonicalBytes, MedleyError, permutation, seededRng, sha256 } from '@medley/kit';

/** Row numbers in ascending order; together they are 0…n−1, each once. */
export interface Split {
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * Splits `n` rows into ⌊n·fraction⌋ for training and the rest for testing, the same way for the same
 * arguments in every release: a permutation under the seed and `salt` (the dataset's id, so that two
 * datasets are split independently). Throws STUDY_VALUES_INVALID for a fraction outside (0, 1) or an
 * `n` that is no count.
 */
export function splitRows(n: number, fraction: number, seed: string, salt: string): Split {
  if (!Number.isInteger(n) || n < 0 || n > 2 ** 31 - 1 || !(fraction > 0 && fraction < 1)) {
    throw new MedleyError(
      'STUDY_VALUES_INVALID',
      'a split needs a row count and a fraction in (0, 1)',
    );
  }
  // JSON keeps seed and salt apart, so that no two pairs share a stream.
  const order = permutation(seededRng(JSON.stringify(['medley/split/v1', seed, salt])), n);
  const size = Math.floor(n * fraction);
  return { train: order.slice(0, size).sort(), test: order.slice(size).sort() };
}

/**
 * Whether one patient trains or tests, decided for each alone: nobody's part changes with who else is
 * there, so that one patient more or less is one example more or less. `patient` is what the source
 * tells them apart by. Shares are of the expected size only. The same in every release.
 */
export function isTrained(patient: string, fraction: number, seed: string, salt: string): boolean {
  const digest = sha256(canonicalBytes(['medley/split/v2', seed, salt, patient]));
  const draw = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  return draw < fraction * 2 ** 32;
}
