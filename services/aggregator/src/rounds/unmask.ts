import { MedleyError, toHex } from '@medley/kit';
import {
  addInto,
  counterMasks,
  layoutLength,
  planUnmask,
  type Blame,
  type CoordinatorState,
  type Masker,
  type SessionTerms,
} from '@medley/secagg';
import type { Blobs } from '../blob/blobs.ts';

/** The opened sum, one 32-bit word per coordinate, and the silos whose shares were wrong. */
export interface OpenedSum {
  readonly sum: Uint32Array;
  readonly blamed: readonly Blame[];
}

/**
 * Adds the survivors' masked vectors, each read once in pieces, and takes the masks out. Memory: one
 * vector. Throws SECAGG_UNMASK_FAILED, FILE_UNREADABLE, and ROUND_VECTOR_LOST when a stored vector is
 * not there or not what its silo signed.
 */
export async function openSum(
  terms: SessionTerms,
  coordinator: CoordinatorState,
  blobs: Blobs,
  masker: Masker,
): Promise<OpenedSum> {
  // First, because it fails before anything is read when too many shares are wrong.
  const plan = planUnmask(terms, coordinator);
  const sum = masker.vector(layoutLength(terms.layout));
  for (const { vectorHash } of coordinator.headers) await addBlob(sum, toHex(vectorHash), blobs);
  await masker.apply(sum, counterMasks(plan));
  return { sum, blamed: plan.blamed };
}

async function addBlob(sum: Uint32Array, hash: string, blobs: Blobs): Promise<void> {
  const lost = (cause?: unknown): MedleyError =>
    new MedleyError('ROUND_VECTOR_LOST', `stored vector ${hash}`, { cause });
  // Before its first word is added: a vector that is too long has no place in the sum.
  if ((await blobs.sizeOf(hash)) !== 4 * sum.length) throw lost();
  let at = 0;
  try {
    await blobs.forEach(hash, (piece) => {
      const words = new Uint32Array(piece.buffer, piece.byteOffset, piece.length / 4);
      addInto(sum.subarray(at, at + words.length), words);
      at += words.length;
    });
  } catch (caught) {
    const { code } = MedleyError.from(caught);
    throw code === 'BLOB_DAMAGED' || code === 'BLOB_UNKNOWN' ? lost(caught) : caught;
  }
}
