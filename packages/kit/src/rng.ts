import { createCipheriv, createHash, randomFillSync } from 'node:crypto';

/** Randomness as a dependency. Only {@link systemRng} may make keys, masks or noise outside tests. */
export interface Rng {
  /** `n` fresh bytes, owned by the caller. */
  bytes(n: number): Uint8Array;
}

/** The operating system's cryptographic generator. */
export const systemRng: Rng = {
  bytes: (n) => randomFillSync(new Uint8Array(n)),
};

/**
 * A reproducible stream: AES-256-CTR under SHA-256(seed), zero IV. For seeded splits, permutations
 * and tests; its output is as predictable as its seed.
 */
export function seededRng(seed: string): Rng {
  const key = createHash('sha256').update(seed).digest();
  const stream = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return { bytes: (n) => new Uint8Array(stream.update(new Uint8Array(n))) };
}

/** Uniform integer in [0, bound), bound in [1, 2^32], by rejection (no modulo bias). */
export function uniformInt(rng: Rng, bound: number): number {
  const limit = Math.floor(2 ** 32 / bound) * bound;
  for (;;) {
    const bytes = rng.bytes(4);
    const word = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
    if (word < limit) return word % bound;
  }
}

/** Uniform real in [0, 1) with 53 random bits. */
export function uniformReal(rng: Rng): number {
  const bytes = rng.bytes(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return ((view.getUint32(0, true) >>> 5) * 2 ** 26 + (view.getUint32(4, true) >>> 6)) / 2 ** 53;
}

/** A uniform permutation of 0…n−1 (Fisher and Yates). */
export function permutation(rng: Rng, n: number): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = uniformInt(rng, i + 1);
    // In range: 0 <= j <= i < n.
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
