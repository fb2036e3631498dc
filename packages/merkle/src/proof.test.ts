import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isMedleyError, utf8 } from '@medley/kit';
import { leafHash } from './hash.ts';
import {
  verifyConsistency,
  verifyInclusion,
  type ConsistencyClaim,
  type InclusionClaim,
} from './proof.ts';
import { MerkleTree } from './tree.ts';

const entries = Array.from({ length: 11 }, (_, i) => leafHash(utf8(String(i))));
const tree = new MerkleTree(entries);
const inclusion: InclusionClaim = {
  leafHash: entries[6]!,
  index: 6,
  size: 11,
  root: tree.root(),
  proof: tree.inclusionProof(6),
};
const consistency: ConsistencyClaim = {
  fromSize: 6,
  toSize: 11,
  fromRoot: tree.root(6),
  toRoot: tree.root(),
  proof: tree.consistencyProof(6),
};
const malformed = expect.objectContaining({ code: 'MERKLE_PROOF_MALFORMED' });
const noCounts = [-1, 0.5, NaN, Infinity, 2 ** 53, '6', null, undefined, 6n];

/** Anything in place of a field: what a peer's message may decode to. */
function forged<Claim>(claim: Claim, field: keyof Claim, value: unknown): Claim {
  return { ...claim, [field]: value };
}

describe('verifyInclusion', () => {
  test('refuses an index or a size that is no count', () => {
    for (const value of noCounts) {
      expect(() => verifyInclusion(forged(inclusion, 'index', value))).toThrow(malformed);
      expect(() => verifyInclusion(forged(inclusion, 'size', value))).toThrow(malformed);
    }
    expect(() => verifyInclusion({ ...inclusion, index: 11 })).toThrow(malformed);
  });

  test('refuses a proof one hash too long or too short', () => {
    const { proof, root } = inclusion;
    expect(() => verifyInclusion({ ...inclusion, proof: [...proof, root] })).toThrow(malformed);
    expect(() => verifyInclusion({ ...inclusion, proof: proof.slice(1) })).toThrow(malformed);
    expect(() => verifyInclusion({ ...inclusion, proof: [] })).toThrow(malformed);
  });

  test('refuses hashes of another length and proofs that are no list', () => {
    for (const value of [new Uint8Array(31), new Uint8Array(33), new Uint8Array(), 'x', null]) {
      expect(() => verifyInclusion(forged(inclusion, 'root', value))).toThrow(malformed);
      expect(() => verifyInclusion(forged(inclusion, 'leafHash', value))).toThrow(malformed);
      expect(() => verifyInclusion(forged(inclusion, 'proof', value))).toThrow(malformed);
      const proof = [value, ...inclusion.proof.slice(1)];
      expect(() => verifyInclusion(forged(inclusion, 'proof', proof))).toThrow(malformed);
    }
    const long = new Array(100_000).fill(inclusion.root);
    expect(() => verifyInclusion(forged(inclusion, 'proof', long))).toThrow(malformed);
  });

  test('refuses the proof of another leaf, index or size', () => {
    const failed = expect.objectContaining({ code: 'MERKLE_INCLUSION_FAILED' });
    expect(() => verifyInclusion({ ...inclusion, index: 7 })).toThrow(failed);
    expect(() => verifyInclusion({ ...inclusion, leafHash: entries[7]! })).toThrow(failed);
    expect(() => verifyInclusion({ ...inclusion, root: tree.root(10) })).toThrow(failed);
  });
});

describe('verifyConsistency', () => {
  test('refuses to start from the empty tree, whatever the proof', () => {
    const empty = new MerkleTree();
    for (const toSize of [0, 1, 11]) {
      const toRoot = tree.root(toSize);
      const claim = { fromSize: 0, toSize, fromRoot: empty.root(), toRoot, proof: [] };
      expect(() => verifyConsistency(claim)).toThrow(malformed);
    }
  });

  test('refuses sizes that are no counts or shrink', () => {
    for (const value of noCounts) {
      expect(() => verifyConsistency(forged(consistency, 'fromSize', value))).toThrow(malformed);
      expect(() => verifyConsistency(forged(consistency, 'toSize', value))).toThrow(malformed);
    }
    expect(() => verifyConsistency({ ...consistency, toSize: 5 })).toThrow(malformed);
  });

  test('refuses a proof one hash too long or too short', () => {
    const { proof, toRoot } = consistency;
    expect(() => verifyConsistency({ ...consistency, proof: [...proof, toRoot] })).toThrow(
      malformed,
    );
    expect(() => verifyConsistency({ ...consistency, proof: proof.slice(0, -1) })).toThrow(
      malformed,
    );
    expect(() => verifyConsistency({ ...consistency, proof: [] })).toThrow(malformed);
    const power = { ...consistency, fromSize: 8, fromRoot: tree.root(8), proof: [] };
    expect(() => verifyConsistency(power)).toThrow(malformed);
  });

  test('takes one size without hashes and with one root only', () => {
    const { toRoot, fromRoot } = consistency;
    const same = { fromSize: 11, toSize: 11, fromRoot: toRoot, toRoot, proof: [] };
    verifyConsistency(same);
    expect(() => verifyConsistency({ ...same, proof: [toRoot] })).toThrow(malformed);
    expect(() => verifyConsistency({ ...same, fromRoot })).toThrow('does not continue');
  });

  test('refuses a history that was rewritten', () => {
    const rewritten = new MerkleTree(entries.with(2, leafHash(utf8('changed'))));
    const claim = {
      ...consistency,
      toRoot: rewritten.root(),
      proof: rewritten.consistencyProof(6),
    };
    expect(() => verifyConsistency(claim)).toThrow(
      expect.objectContaining({ code: 'MERKLE_CONSISTENCY_FAILED' }),
    );
  });
});

test('whatever a peer sends, only coded errors come out', () => {
  const field = fc.oneof(
    fc.anything(),
    fc.nat(20),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
  );
  const proof = fc.oneof(fc.anything(), fc.array(fc.oneof(fc.anything(), fc.uint8Array())));
  fc.assert(
    fc.property(field, field, field, field, proof, (a, b, c, d, hashes) => {
      const claims = [
        () =>
          verifyInclusion({
            leafHash: c,
            index: a,
            size: b,
            root: d,
            proof: hashes,
          } as InclusionClaim),
        () =>
          verifyConsistency({
            fromSize: a,
            toSize: b,
            fromRoot: c,
            toRoot: d,
            proof: hashes,
          } as ConsistencyClaim),
      ];
      for (const verify of claims) {
        try {
          verify();
        } catch (error) {
          expect(isMedleyError(error) && error.code.startsWith('MERKLE_')).toBe(true);
        }
      }
    }),
  );
});
