import { MedleyError, toHex } from '@medley/kit';
import {
  addInto,
  counterMasks,
  isPlain,
  layoutLength,
  planUnmask,
  reduceVector,
  unpackVector,
  wireLength,
  type Blame,
  type CoordinatorState,
  type Masker,
  type SessionTerms,
  type VectorLayout,
} from '@medley/secagg';
import type { Blobs } from '../blob/blobs.ts';

/** The opened sum, one 32-bit word per coordinate, and the silos whose shares were wrong. */
export interface OpenedSum {
  readonly sum: Uint32Array;
  readonly blamed: readonly Blame[];
}

/**
 * Adds the survivors' masked vectors, each read once in pieces, and takes the masks out. Memory: one
 * vector, and two more where vectors travel packed. Throws SECAGG_UNMASK_FAILED, FILE_UNREADABLE, and ROUND_VECTOR_LOST when a stored vector is
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
  for (const { vectorHash } of coordinator.headers)
    await addBlob(sum, terms.layout, toHex(vectorHash), blobs);
  await masker.apply(sum, counterMasks(plan));
  reduceVector(terms.layout, sum);
  return { sum, blamed: plan.blamed };
}

async function addBlob(
  sum: Uint32Array,
  layout: VectorLayout,
  hash: string,
  blobs: Blobs,
): Promise<void> {
  const lost = (cause?: unknown): MedleyError =>
    new MedleyError('ROUND_VECTOR_LOST', `stored vector ${hash}`, { cause });
  // Before its first word is added: a vector that is too long has no place in the sum.
  if ((await blobs.sizeOf(hash)) !== wireLength(layout)) throw lost();
  let at = 0;
  try {
    if (!isPlain(layout)) {
      addInto(sum, unpackVector(layout, await blobs.readAll(hash)));
      return;
    }
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
