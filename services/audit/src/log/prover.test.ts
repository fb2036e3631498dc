import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  leafHash,
  logKeyFromSeed,
  MerkleTree,
  signCheckpoint,
  verifyConsistency,
  verifyInclusion,
} from '@medley/merkle';
import { testLeaves } from '../../../../tests/support/log.ts';
import type { LogStore } from '../store/store.ts';
import { Prover } from './prover.ts';

const KEY = logKeyFromSeed('medley/test', new Uint8Array(32).fill(7));
const LEAVES = testLeaves(700);
const TREE = new MerkleTree(LEAVES.map((leaf) => leafHash(leaf)));

/** A store in memory whose newest checkpoint can be moved. */
class FakeLog implements LogStore {
  leafList: Uint8Array[] = LEAVES.slice();
  signed: number | undefined;
  reads = 0;

  constructor(signed?: number) {
    this.signed = signed;
  }

  leaves = async (from: number, to: number) => {
    this.reads++;
    return this.leafList.slice(from, to);
  };
  newestCheckpoint = async () => {
    if (this.signed === undefined) return undefined;
    const head = { origin: KEY.name, size: this.signed, root: TREE.root(this.signed) };
    return { size: this.signed, note: signCheckpoint(head, KEY) };
  };
  checkpoints = async () => [];
  isEnrolled = async () => false;
  isOperator = async () => false;
  close = () => undefined;
}

const sizes = fc.integer({ min: 1, max: LEAVES.length });

describe('proofs', () => {
  test('of inclusion hold for every entry of every covered size', async () => {
    const prover = new Prover(new FakeLog(700));
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, n) => {
        const index = n % size;
        const proof = await prover.inclusion(index, size);
        const hash = leafHash(LEAVES[index]!);
        verifyInclusion({ leafHash: hash, index, size, root: TREE.root(size), proof });
      }),
    );
  });

  test('of consistency hold for every pair of covered sizes', async () => {
    const prover = new Prover(new FakeLog(700));
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (a, b) => {
        const [fromSize, toSize] = a < b ? [a, b] : [b, a];
        const proof = await prover.consistency(fromSize, toSize);
        const [fromRoot, toRoot] = [TREE.root(fromSize), TREE.root(toSize)];
        verifyConsistency({ fromSize, toSize, fromRoot, toRoot, proof });
      }),
    );
  });

  test('follow the log as it grows', async () => {
    const log = new FakeLog(3);
    const prover = new Prover(log);
    expect(await prover.check()).toBe(3);
    await expect(prover.inclusion(3, 4)).rejects.toMatchObject({ code: 'AUDIT_RANGE' });
    log.signed = 500;
    expect(await prover.inclusion(499, 500)).toEqual(TREE.inclusionProof(499, 500));
  });

  test('asked for at the same time read every leaf once', async () => {
    const log = new FakeLog(700);
    const prover = new Prover(log);
    await Promise.all([prover.inclusion(0, 700), prover.consistency(3, 600), prover.check()]);
    expect(log.reads).toBe(3);
  });
});

describe('refusals', () => {
  test.each([
    ['an entry beyond the size', (p: Prover) => p.inclusion(5, 5)],
    ['a size that no checkpoint covers', (p: Prover) => p.inclusion(0, 11)],
    ['a negative entry', (p: Prover) => p.inclusion(-1, 5)],
    ['half an entry', (p: Prover) => p.inclusion(0.5, 5)],
    ['no size', (p: Prover) => p.inclusion(0, NaN)],
    ['consistency with the empty tree', (p: Prover) => p.consistency(0, 5)],
    ['consistency backwards', (p: Prover) => p.consistency(6, 5)],
    ['consistency with an unsigned size', (p: Prover) => p.consistency(5, 11)],
  ])('%s is out of range', async (_, ask) => {
    await expect(ask(new Prover(new FakeLog(10)))).rejects.toMatchObject({ code: 'AUDIT_RANGE' });
  });

  test('before the first checkpoint nothing is covered', async () => {
    const prover = new Prover(new FakeLog());
    expect(await prover.check()).toBe(0);
    await expect(prover.inclusion(0, 1)).rejects.toMatchObject({ code: 'AUDIT_RANGE' });
  });

  test('a changed leaf proves nothing any more', async () => {
    const log = new FakeLog(10);
    log.leafList[4] = new TextEncoder().encode('rewritten');
    const prover = new Prover(log);
    await expect(prover.inclusion(0, 10)).rejects.toMatchObject({ code: 'AUDIT_FAILED' });
    await expect(prover.consistency(1, 2)).rejects.toMatchObject({ code: 'AUDIT_FAILED' });
  });

  test('missing leaves are told from a size out of range', async () => {
    const log = new FakeLog(10);
    log.leafList = LEAVES.slice(0, 9);
    await expect(new Prover(log).check()).rejects.toMatchObject({ code: 'AUDIT_FAILED' });
  });
});
