import { equalBytes } from '@medley/kit';
import {
  MerkleTree,
  leafHash,
  openCheckpoint,
  parseVerifierKey,
  verifyConsistency,
  verifyInclusion,
  type TreeHead,
  type VerifierKey,
} from '@medley/merkle';
import { Inquiry, type Claim } from './claim.ts';

/** A log as exported. */
export interface LogExport {
  /** Leaves in order. */
  readonly entries: readonly Uint8Array[];
  /** Signed checkpoints (C2SP signed notes), oldest first. */
  readonly checkpoints: readonly string[];
  /** The log's verifier key or its text, known from elsewhere: from a charter one signed, say. */
  readonly verifierKey: string | VerifierKey;
}

/** Checks that entries and checkpoints are one append-only log signed by one key. Never throws. */
export function checkTree({ entries, checkpoints, verifierKey }: LogExport): readonly Claim[] {
  const tree = new MerkleTree(entries.map(leafHash));
  const signed = new Inquiry('checkpoints');
  const heads = openAll(signed, checkpoints, verifierKey);
  return [
    signed.close(`${heads.length} checkpoints signed by the log`),
    checkRoots(tree, heads),
    checkInclusion(tree, entries, heads.at(-1)),
    checkConsistency(tree, heads),
  ];
}

function openAll(
  signed: Inquiry,
  checkpoints: readonly string[],
  verifierKey: string | VerifierKey,
): readonly TreeHead[] {
  const key = signed.check('verifier key', () =>
    typeof verifierKey === 'string' ? parseVerifierKey(verifierKey) : verifierKey,
  );
  signed.expect(checkpoints.length > 0, 'no checkpoint');
  // A checkpoint's origin is the key's name: openCheckpoint refuses any other.
  const heads = checkpoints.flatMap((note, i) => {
    const head = key && signed.check(`checkpoint ${i}`, () => openCheckpoint(note, [key]));
    return head ? [head] : [];
  });
  heads.slice(1).forEach((head, i) => {
    signed.expect(
      head.size >= heads[i]!.size,
      `checkpoint ${i + 1} is smaller than the one before`,
    );
  });
  return heads;
}

function checkRoots(tree: MerkleTree, heads: readonly TreeHead[]): Claim {
  const roots = new Inquiry('roots');
  heads.forEach((head, i) => {
    const own = roots.check(`checkpoint ${i}`, () => tree.root(head.size));
    if (!own) return;
    roots.expect(equalBytes(own, head.root), `checkpoint ${i}: another root than its entries have`);
  });
  const last = heads.at(-1)?.size ?? 0;
  roots.expect(
    last === tree.size,
    `the newest checkpoint covers ${last} entries, ${tree.size} were given`,
  );
  return roots.close('every root follows from the entries');
}

function checkInclusion(
  tree: MerkleTree,
  entries: readonly Uint8Array[],
  head: TreeHead | undefined,
): Claim {
  const inclusion = new Inquiry('inclusion');
  inclusion.expect(head !== undefined, 'no checkpoint to prove entries against');
  entries.forEach((entry, index) => {
    if (!head) return;
    inclusion.check(`entry ${index}`, () =>
      verifyInclusion({
        index,
        size: head.size,
        leafHash: leafHash(entry),
        proof: tree.inclusionProof(index, head.size),
        root: head.root,
      }),
    );
  });
  return inclusion.close('every entry is in the newest tree');
}

function checkConsistency(tree: MerkleTree, heads: readonly TreeHead[]): Claim {
  const consistency = new Inquiry('consistency');
  heads.slice(1).forEach((head, i) => {
    const before = heads[i]!;
    // The empty tree is continued by every other.
    if (before.size === 0) return;
    consistency.check(`checkpoint ${i + 1}`, () =>
      verifyConsistency({
        fromSize: before.size,
        fromRoot: before.root,
        toSize: head.size,
        toRoot: head.root,
        proof: tree.consistencyProof(before.size, head.size),
      }),
    );
  });
  return consistency.close('every checkpoint continues the one before');
}
