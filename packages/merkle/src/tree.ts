import { MedleyError } from '@medley/kit';
import { Frontier, foldRight } from './frontier.ts';
import {
  consistencyRanges,
  inclusionRanges,
  rangeNodes,
  wholeRange,
  type LeafRange,
} from './range.ts';

/**
 * Where hashes of complete subtrees come from: the hash over the leaves
 * [index * 2^level, (index + 1) * 2^level). Level 0 are the leaf hashes. A store that must be asked
 * asynchronously fetches the `rangeNodes` of the ranges first and answers from what it fetched.
 */
export type HashSource = (level: number, index: number) => Uint8Array;

/** Root of the first `size` leaves. Throws MERKLE_RANGE. RFC 6962 section 2.1. */
export function treeRoot(source: HashSource, size: number): Uint8Array {
  return rangeHash(source, wholeRange(size));
}

/**
 * Proof that leaf `index` is in the tree of `size` leaves, the leaf's sibling first. Throws
 * MERKLE_RANGE unless 0 <= index < size. RFC 6962 section 2.1.1.
 */
export function inclusionProof(
  source: HashSource,
  index: number,
  size: number,
): readonly Uint8Array[] {
  return inclusionRanges(index, size).map((range) => rangeHash(source, range));
}

/**
 * Proof that the tree of `to` leaves starts with the tree of `from` leaves. Throws MERKLE_RANGE unless
 * 1 <= from <= to. RFC 6962 section 2.1.2.
 */
export function consistencyProof(
  source: HashSource,
  from: number,
  to: number,
): readonly Uint8Array[] {
  return consistencyRanges(from, to).map((range) => rangeHash(source, range));
}

function rangeHash(source: HashSource, range: LeafRange): Uint8Array {
  return foldRight(rangeNodes(range).map(({ level, index }) => source(level, index)));
}

/** A whole RFC 6962 tree in memory (about 64 bytes of hashes a leaf), for roots and proofs of any size. */
export class MerkleTree {
  readonly #frontier = new Frontier();
  /** Hashes of complete subtrees by level, then index. */
  readonly #levels: Uint8Array[][] = [];

  /** A tree over the given leaf hashes (copied), in order. Throws MERKLE_RANGE. */
  constructor(leafHashes: Iterable<Uint8Array> = []) {
    for (const hash of leafHashes) this.append(hash);
  }

  /** Number of leaves. */
  get size(): number {
    return this.#frontier.size;
  }

  /** The tree as a source; asking beyond its size throws MERKLE_RANGE. The hashes stay the tree's own. */
  readonly source: HashSource = (level, index) => {
    const hash = this.#levels[level]?.[index];
    if (hash === undefined)
      throw new MedleyError('MERKLE_RANGE', `no subtree ${level}/${index} in size ${this.size}`);
    return hash;
  };

  /** Appends a leaf hash (copied) and returns its index. Throws MERKLE_RANGE when it is not 32 bytes. */
  append(leafHash: Uint8Array): number {
    for (const { level, hash } of this.#frontier.append(leafHash))
      (this.#levels[level] ??= []).push(hash);
    return this.size - 1;
  }

  /** Root of the first `size` leaves (all by default). Throws MERKLE_RANGE. */
  root(size = this.size): Uint8Array {
    return treeRoot(this.source, size);
  }

  /** See {@link inclusionProof}; `size` may be any up to the present one. */
  inclusionProof(index: number, size = this.size): readonly Uint8Array[] {
    return inclusionProof(this.source, index, size);
  }

  /** See {@link consistencyProof}; `to` may be any up to the present size. */
  consistencyProof(from: number, to = this.size): readonly Uint8Array[] {
    return consistencyProof(this.source, from, to);
  }
}
