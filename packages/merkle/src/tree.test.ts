import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, sha256, toHex, utf8 } from '@medley/kit';
import { Frontier, foldRight } from './frontier.ts';
import { emptyRoot, leafHash, nodeHash } from './hash.ts';
import { verifyConsistency, verifyInclusion } from './proof.ts';
import { consistencyRanges, inclusionRanges, rangeNodes } from './range.ts';
import { MerkleTree } from './tree.ts';

/** MTH(D[n]) word for word as RFC 6962 section 2.1 defines it: the independent reference. */
function definedRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return sha256();
  if (leaves.length === 1) return only;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(definedRoot(leaves.slice(0, k)), definedRoot(leaves.slice(k)));
}

function leaves(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => leafHash(utf8(`entry ${i}`)));
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** The list with one bit of it flipped. */
function flippedIn(hashes: readonly Uint8Array[], bit: number): Uint8Array[] {
  return hashes.map((hash, i) => (i === bit >> 8 ? flipped(hash, bit & 255) : hash));
}

const sizeAndIndex = fc
  .integer({ min: 1, max: 600 })
  .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size - 1 })));

describe('hashes', () => {
  test('are the ones transparency-dev/merkle lists for RFC 6962', () => {
    expect(toHex(emptyRoot())).toMatch(/^e3b0c442.*b855$/);
    expect(toHex(leafHash(new Uint8Array()))).toMatch(/^6e340b9c.*a01d$/);
    expect(toHex(leafHash(utf8('L123456')))).toMatch(/^395aa064.*4d56$/);
    expect(toHex(nodeHash(utf8('N123'), utf8('N456')))).toMatch(/^aa217fe8.*6bbb$/);
  });
});

describe('MerkleTree', () => {
  test('gives at every size the root that the RFC defines', () => {
    const tree = new MerkleTree(leaves(70));
    for (let size = 0; size <= 70; size++) {
      expect(tree.root(size)).toEqual(definedRoot(leaves(size)));
    }
  });

  test('proves every leaf at any size, and no single bit flip survives', () => {
    fc.assert(
      fc.property(sizeAndIndex, fc.nat(), ([size, index], seed) => {
        const tree = new MerkleTree(leaves(size));
        const claim = {
          leafHash: leafHash(utf8(`entry ${index}`)),
          index,
          size,
          root: tree.root(),
          proof: tree.inclusionProof(index),
        };
        verifyInclusion(claim);
        const bit = seed % 256;
        const broken = [
          { ...claim, root: flipped(claim.root, bit) },
          { ...claim, leafHash: flipped(claim.leafHash, bit) },
          ...claim.proof.map((_, i) => ({
            ...claim,
            proof: flippedIn(claim.proof, i * 256 + bit),
          })),
        ];
        for (const bad of broken) {
          expect(() => verifyInclusion(bad)).toThrow(`leaf ${index} is not in the tree`);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('proves every step of its history, and no single bit flip survives', () => {
    fc.assert(
      fc.property(sizeAndIndex, fc.nat(), ([toSize, before], seed) => {
        const tree = new MerkleTree(leaves(toSize));
        const fromSize = before + 1;
        const claim = {
          fromSize,
          toSize,
          fromRoot: tree.root(fromSize),
          toRoot: tree.root(),
          proof: tree.consistencyProof(fromSize),
        };
        verifyConsistency(claim);
        const bit = seed % 256;
        const broken = [
          { ...claim, fromRoot: flipped(claim.fromRoot, bit) },
          { ...claim, toRoot: flipped(claim.toRoot, bit) },
          ...claim.proof.map((_, i) => ({
            ...claim,
            proof: flippedIn(claim.proof, i * 256 + bit),
          })),
        ];
        for (const bad of broken) expect(() => verifyConsistency(bad)).toThrow('does not continue');
      }),
      { numRuns: 60 },
    );
  });

  test('refuses what lies outside it', () => {
    const tree = new MerkleTree(leaves(5));
    const outside = [
      () => tree.root(6),
      () => tree.root(-1),
      () => tree.root(1.5),
      () => tree.inclusionProof(5),
      () => tree.inclusionProof(-1),
      () => tree.inclusionProof(0, 6),
      () => tree.consistencyProof(0),
      () => tree.consistencyProof(5, 4),
      () => tree.consistencyProof(1, 6),
      () => tree.source(3, 0),
      () => tree.append(new Uint8Array(31)),
    ];
    for (const ask of outside) {
      expect(ask).toThrow(expect.objectContaining({ code: 'MERKLE_RANGE' }));
    }
  });

  test('keeps its own copy of what is appended', () => {
    const [leaf] = leaves(1);
    const tree = new MerkleTree([leaf!]);
    leaf!.fill(0);
    expect(tree.root()).toEqual(leaves(1)[0]);
  });
});

describe('Frontier', () => {
  test('agrees with the whole tree at every size and goes on from what it saved', () => {
    const tree = new MerkleTree(leaves(300));
    let frontier = new Frontier();
    for (const [i, leaf] of leaves(300).entries()) {
      frontier.append(leaf);
      frontier = new Frontier(frontier.size, frontier.hashes);
      expect(frontier.root()).toEqual(tree.root(i + 1));
      expect(frontier.hashes.length).toBeLessThanOrEqual(9);
    }
  });

  test('tells of every subtree once, when it is complete', () => {
    const frontier = new Frontier();
    const told = leaves(64).flatMap((leaf) => frontier.append(leaf));
    expect(told).toHaveLength(127);
    const tree = new MerkleTree(leaves(64));
    for (const { level, index, hash } of told) expect(hash).toEqual(tree.source(level, index));
  });

  test('refuses hashes that are no frontier of that size', () => {
    const hash = leaves(1)[0]!;
    const wrong: [number, Uint8Array[]][] = [
      [2, [hash, hash]],
      [3, [hash]],
      [0, [hash]],
      [-1, []],
      [1, [new Uint8Array(5)]],
      [NaN, []],
    ];
    for (const [size, hashes] of wrong) {
      expect(() => new Frontier(size, hashes)).toThrow(
        expect.objectContaining({ code: 'MERKLE_RANGE' }),
      );
    }
  });
});

describe('ranges', () => {
  test('hold exactly what a proof needs, beyond 2^32 leaves too', () => {
    const size = 2 ** 52 + 2 ** 33 + 5;
    const index = 2 ** 40 + 3;
    const covered = inclusionRanges(index, size).reduce(
      (sum, { start, end }) => sum + end - start,
      0,
    );
    expect(covered).toBe(size - 1);
    for (const range of [...inclusionRanges(index, size), ...consistencyRanges(index, size)]) {
      const nodes = rangeNodes(range);
      expect(nodes.every((node) => Number.isInteger(node.index))).toBe(true);
      expect(nodes.reduce((sum, { level }) => sum + 2 ** level, 0)).toBe(range.end - range.start);
    }
  });

  test('fold to the same hash as the leaves they name', () => {
    const tree = new MerkleTree(leaves(37));
    for (const range of consistencyRanges(19, 37)) {
      const hash = foldRight(
        rangeNodes(range).map(({ level, index }) => tree.source(level, index)),
      );
      expect(hash).toEqual(definedRoot(leaves(37).slice(range.start, range.end)));
    }
  });

  test('verify in a tree of 2^40 equal leaves, where 32 bit arithmetic would fail', () => {
    const leaf = fromHex('00'.repeat(32))!;
    const levels = [leaf];
    for (let level = 0; level < 45; level++) levels.push(nodeHash(levels[level]!, levels[level]!));
    const hashOf = (range: { start: number; end: number }) =>
      foldRight(rangeNodes(range).map(({ level }) => levels[level]!));
    const [fromSize, toSize] = [2 ** 40 + 12_345, 2 ** 44 + 2 ** 33 + 1];
    const root = (size: number) => hashOf({ start: 0, end: size });
    const index = 2 ** 43 + 77;
    verifyInclusion({
      leafHash: leaf,
      index,
      size: toSize,
      root: root(toSize),
      proof: inclusionRanges(index, toSize).map(hashOf),
    });
    verifyConsistency({
      fromSize,
      toSize,
      fromRoot: root(fromSize),
      toRoot: root(toSize),
      proof: consistencyRanges(fromSize, toSize).map(hashOf),
    });
  });
});
