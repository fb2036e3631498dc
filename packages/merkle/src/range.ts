import { MedleyError } from '@medley/kit';

/** The leaves [start, end) of a tree. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** The complete subtree over the leaves [index * 2^level, (index + 1) * 2^level). */
export interface NodeAddress {
  readonly level: number;
  readonly index: number;
}

/** True for a count of leaves: an integer in [0, 2^53). `value` may come from a peer and be anything. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * The complete subtrees that make up `range`, left to right: at most 2 log2 of its length. `range`
 * must be one that {@link inclusionRanges}, {@link consistencyRanges} or {@link wholeRange} gave.
 */
export function rangeNodes(range: LeafRange): readonly NodeAddress[] {
  const nodes: NodeAddress[] = [];
  let start = range.start;
  while (start < range.end) {
    let level = 0;
    let width = 1;
    while (width * 2 <= range.end - start) {
      width *= 2;
      level += 1;
    }
    // Exact: ranges of a proof start at a multiple of every width they hold.
    nodes.push({ level, index: start / width });
    start += width;
  }
  return nodes;
}

/** The range whose hash is the root at `size`. Throws MERKLE_RANGE when `size` is no count. */
export function wholeRange(size: number): LeafRange {
  if (!isSize(size))
    throw new MedleyError('MERKLE_RANGE', `tree size ${String(size)} is not a count`);
  return { start: 0, end: size };
}

/**
 * The ranges whose hashes are the inclusion proof of leaf `index` in the tree of `size` leaves, in
 * proof order: PATH(m, D[n]) of RFC 6962 section 2.1.1. Throws MERKLE_RANGE unless 0 <= index < size.
 */
export function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  if (!isSize(index) || !isSize(size) || index >= size) {
    throw new MedleyError(
      'MERKLE_RANGE',
      `leaf ${String(index)} is not in a tree of size ${String(size)}`,
    );
  }
  const ranges: LeafRange[] = [];
  let { start, end } = wholeRange(size);
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.reverse();
}

/**
 * The ranges whose hashes are the consistency proof from size `from` to size `to`, in proof order:
 * PROOF(m, D[n]) of RFC 6962 section 2.1.2. Throws MERKLE_RANGE unless 1 <= from <= to: nothing can
 * be proven from the empty tree.
 */
export function consistencyRanges(from: number, to: number): readonly LeafRange[] {
  if (!isSize(from) || !isSize(to) || from < 1 || from > to) {
    throw new MedleyError(
      'MERKLE_RANGE',
      `no consistency proof from size ${String(from)} to ${String(to)}`,
    );
  }
  const ranges: LeafRange[] = [];
  let { start, end } = wholeRange(to);
  while (end !== from) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // The verifier knows the old root already when the old tree is itself a subtree of the new one.
  if (start !== 0) ranges.push({ start, end });
  return ranges.reverse();
}

/** The largest power of two below `count`, `count` >= 2. */
function splitPoint(count: number): number {
  let width = 1;
  while (width * 2 < count) width *= 2;
  return width;
}
