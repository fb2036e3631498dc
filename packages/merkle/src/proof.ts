import { MedleyError, equalBytes } from '@medley/kit';
import { isHash, nodeHash } from './hash.ts';
import { isSize } from './range.ts';

/** The claim that a leaf is in a tree. Hashes are 32 bytes; `index` and `size` count leaves. */
export interface InclusionClaim {
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** The claim that one tree is the beginning of another. */
export interface ConsistencyClaim {
  readonly fromSize: number;
  readonly toSize: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * Returns when the claim holds (RFC 9162 section 2.1.3.2). Every field may come from a peer: throws
 * MERKLE_PROOF_MALFORMED when the proof has the wrong form or length for index and size,
 * MERKLE_INCLUSION_FAILED when it leads to another root.
 */
export function verifyInclusion(claim: InclusionClaim): void {
  const { index, size } = claim;
  if (!isSize(index) || !isSize(size) || index >= size) malformed('index and size');
  checkHashes([claim.leafHash, claim.root], claim.proof);

  let hash = claim.leafHash;
  climb(index, size - 1, claim.proof, (sibling, isLeft) => {
    hash = isLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  });
  if (!equalBytes(hash, claim.root)) {
    throw new MedleyError(
      'MERKLE_INCLUSION_FAILED',
      `leaf ${index} is not in the tree of size ${size}`,
    );
  }
}

/**
 * Returns when the claim holds (RFC 9162 section 2.1.4.2). Every field may come from a peer: throws
 * MERKLE_PROOF_MALFORMED when the proof has the wrong form or length for the sizes, or `fromSize` is
 * 0 (every tree continues the empty one, so such a proof would show nothing), and
 * MERKLE_CONSISTENCY_FAILED when it leads to other roots. For two equal sizes the proof is empty and
 * the roots must be the same bytes, of whatever length.
 */
export function verifyConsistency(claim: ConsistencyClaim): void {
  const { fromSize, toSize, fromRoot, toRoot } = claim;
  if (!isSize(fromSize) || !isSize(toSize) || fromSize < 1 || fromSize > toSize) malformed('sizes');
  if (fromSize === toSize) {
    checkHashes([], claim.proof);
    if (claim.proof.length !== 0) malformed('too many hashes');
    // Nothing is hashed: the roots are one or the claim fails, so the one we hold answers for both.
    if (!isEqual(fromRoot, toRoot)) inconsistent(claim);
    return;
  }
  checkHashes([fromRoot, toRoot], claim.proof);

  let first = fromSize - 1;
  let last = toSize - 1;
  while (first % 2 === 1) [first, last] = [half(first), half(last)];
  // `first` is 0 exactly when the old size is a power of two; the proof then leaves the old root out.
  const [start, ...rest] = first === 0 ? [fromRoot, ...claim.proof] : claim.proof;
  if (start === undefined) return malformed('too few hashes');
  let fromHash = start;
  let toHash = start;
  climb(first, last, rest, (sibling, isLeft) => {
    // What lies to the right came after the old tree.
    if (isLeft) fromHash = nodeHash(sibling, fromHash);
    toHash = isLeft ? nodeHash(sibling, toHash) : nodeHash(toHash, sibling);
  });
  if (!equalBytes(fromHash, fromRoot) || !equalBytes(toHash, toRoot)) inconsistent(claim);
}

/**
 * Walks from node `first` of a level whose last node is `last` up to the root and tells of each sibling
 * of the proof on which side it lies. Throws MERKLE_PROOF_MALFORMED unless the proof has one for each.
 */
function climb(
  first: number,
  last: number,
  proof: readonly Uint8Array[],
  visit: (sibling: Uint8Array, isLeft: boolean) => void,
): void {
  for (const sibling of proof) {
    if (last === 0) malformed('too many hashes');
    const isLeft = first % 2 === 1 || first === last;
    visit(sibling, isLeft);
    // A last node without a right sibling rises unhashed until it is a right child itself.
    while (isLeft && first % 2 === 0 && first !== 0) [first, last] = [half(first), half(last)];
    [first, last] = [half(first), half(last)];
  }
  if (last !== 0) malformed('too few hashes');
}

// Halving, not shifting: sizes go beyond the 32 bits that the bit operators keep.
function half(n: number): number {
  return Math.floor(n / 2);
}

// A proof for a tree below 2^53 leaves has at most 53 + 1 hashes; more would only cost us time.
const MAX_PROOF_HASHES = 64;

function checkHashes(hashes: readonly unknown[], proof: unknown): void {
  if (!Array.isArray(proof) || proof.length > MAX_PROOF_HASHES) return malformed('list of hashes');
  if (![...hashes, ...(proof as unknown[])].every(isHash)) malformed('a hash that is not 32 bytes');
}

function isEqual(a: unknown, b: unknown): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b);
}

function malformed(what: string): never {
  throw new MedleyError('MERKLE_PROOF_MALFORMED', `proof: ${what}`);
}

function inconsistent({ fromSize, toSize }: ConsistencyClaim): never {
  throw new MedleyError(
    'MERKLE_CONSISTENCY_FAILED',
    `size ${toSize} does not continue size ${fromSize}`,
  );
}
