import { MedleyError } from '@medley/kit';
import { emptyRoot, isHash, nodeHash } from './hash.ts';
import { isSize, rangeNodes, wholeRange, type NodeAddress } from './range.ts';

/** One complete subtree and its hash. */
export interface TreeNode extends NodeAddress {
  readonly hash: Uint8Array;
}

/**
 * An append-only RFC 6962 tree that remembers only the roots of its complete subtrees: log2(size)
 * hashes. It can append and tell the root of its present size, nothing else.
 */
export class Frontier {
  #size: number;
  /** Roots of the complete subtrees, widest first: one for each bit set in the size. */
  readonly #hashes: Uint8Array[];

  /**
   * An empty frontier, or the one of `size` leaves whose subtree roots, widest first, are `hashes`
   * (as {@link Frontier.hashes} gave them; copied). Throws MERKLE_RANGE when they do not fit.
   */
  constructor(size = 0, hashes: readonly Uint8Array[] = []) {
    const expected = isSize(size) ? rangeNodes(wholeRange(size)).length : -1;
    if (hashes.length !== expected || !hashes.every(isHash)) {
      throw new MedleyError(
        'MERKLE_RANGE',
        `${hashes.length} hashes are no frontier of size ${String(size)}`,
      );
    }
    this.#size = size;
    this.#hashes = hashes.map((hash) => new Uint8Array(hash));
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Copies of the subtree roots, widest first; with `size` all that is needed to go on later. */
  get hashes(): readonly Uint8Array[] {
    return this.#hashes.map((hash) => new Uint8Array(hash));
  }

  /**
   * Appends one leaf hash (copied) and returns every subtree it completes, the leaf itself first.
   * Throws MERKLE_RANGE when `leaf` is not 32 bytes.
   */
  append(leaf: Uint8Array): readonly TreeNode[] {
    if (!isHash(leaf)) throw new MedleyError('MERKLE_RANGE', 'a leaf hash has 32 bytes');
    let node: TreeNode = { level: 0, index: this.#size, hash: new Uint8Array(leaf) };
    const completed = [node];
    while (node.index % 2 === 1) {
      const left = this.#hashes.pop();
      // An odd index has its left sibling on the stack: the constructor and append keep it so.
      if (left === undefined) throw new MedleyError('INTERNAL', 'frontier lost a subtree');
      node = {
        level: node.level + 1,
        index: (node.index - 1) / 2,
        hash: nodeHash(left, node.hash),
      };
      completed.push(node);
    }
    this.#hashes.push(node.hash);
    this.#size += 1;
    return completed;
  }

  /** Root of the present size. RFC 6962 section 2.1. */
  root(): Uint8Array {
    return foldRight(this.#hashes);
  }
}

/** Hash over neighbouring subtrees, widest first: MTH of RFC 6962 section 2.1; the empty root for none. */
export function foldRight(hashes: readonly Uint8Array[]): Uint8Array {
  const narrowest = hashes.at(-1);
  if (narrowest === undefined) return emptyRoot();
  return hashes
    .slice(0, -1)
    .reduceRight((right, left) => nodeHash(left, right), new Uint8Array(narrowest));
}
