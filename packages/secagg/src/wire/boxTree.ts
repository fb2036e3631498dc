import { MedleyError } from '@medley/kit';
import { leafHash, MerkleTree, verifyInclusion } from '@medley/merkle';
import { frame } from './frame.ts';
import {
  sharesBytes,
  type DeliveredBox,
  type SealedShares,
  type SharesHead,
  type SharesMessage,
  type Unsigned,
} from './messages.ts';
import { checkSignature, type Session } from './signing.ts';

// One signature has to cover what a silo sends to everybody, and be checked by each of them with its
// own box alone: hence a tree (RFC 6962 section 2.1) with one leaf for each box.

/** Trees of messages, which are never changed: one message is handed out to everybody. */
const trees = new WeakMap<Unsigned<SharesMessage>, MerkleTree>();

/** The head of a shares message, which it signs. */
export function sharesHead(sid: Uint8Array, message: Unsigned<SharesMessage>): SharesHead {
  const { silo, seedCommitment, ownSeedHash, boxes } = message;
  const root = treeOf(sid, message).root();
  return { silo, seedCommitment, ownSeedHash, count: boxes.length, root };
}

/** The bytes that a shares message signs. */
export function signedShares(sid: Uint8Array, message: Unsigned<SharesMessage>): Uint8Array {
  return sharesBytes(sid, sharesHead(sid, message));
}

/** The box that a shares message holds for silo `to`, as it is delivered; undefined without one. */
export function deliveredTo(
  sid: Uint8Array,
  message: SharesMessage,
  to: number,
): DeliveredBox | undefined {
  const at = message.boxes.findIndex((entry) => entry.to === to);
  const entry = message.boxes[at];
  if (entry === undefined) return undefined;
  const { silo: from, seedCommitment, ownSeedHash, signature } = message;
  const { box, seedHash, keyHash } = entry;
  const tree = treeOf(sid, message);
  const path = tree.inclusionProof(at);
  return {
    ...{ from, box, seedHash, keyHash, seedCommitment, ownSeedHash },
    ...{ root: tree.root(), path, signature },
  };
}

/**
 * That the sender signed for exactly this box, for silo `to`, as the `at`th of `count`. Throws
 * SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID naming the sender: then whoever passed it on changed it.
 */
export function checkDelivered(
  { terms, sid }: Session,
  delivered: DeliveredBox,
  place: { readonly to: number; readonly at: number; readonly count: number },
): void {
  const { from, root, path, signature, seedCommitment, ownSeedHash } = delivered;
  const { to, at, count } = place;
  const head: SharesHead = { silo: from, seedCommitment, ownSeedHash, count, root };
  checkSignature(terms, 'shares', { silo: from, signature }, sharesBytes(sid, head));
  const leaf = leafHash(entryBytes(sid, from, { ...delivered, to }));
  try {
    verifyInclusion({ leafHash: leaf, index: at, size: count, root, proof: path });
  } catch (cause) {
    const what = `box of silo ${from} for silo ${to} is not what it signed`;
    throw new MedleyError('SECAGG_SIGNATURE_INVALID', what, { cause });
  }
}

function treeOf(sid: Uint8Array, message: Unsigned<SharesMessage>): MerkleTree {
  const known = trees.get(message);
  if (known) return known;
  const { silo, boxes } = message;
  const tree = new MerkleTree(boxes.map((entry) => leafHash(entryBytes(sid, silo, entry))));
  trees.set(message, tree);
  return tree;
}

function entryBytes(
  sid: Uint8Array,
  from: number,
  { to, box, seedHash, keyHash }: SealedShares & { readonly to: number },
): Uint8Array {
  return frame('entry', sid, from, to, box, seedHash, keyHash);
}
