import { fromHex, MedleyError } from '@medley/kit';
import { deliverables, type Deliverable } from '@medley/secagg';
import type { BlobName, RoundId, RoundKindName, RoundRow } from '../store/rows.ts';
import type { LeafProof } from '../log/ledger.ts';
import type { OpenRound } from './book.ts';
import { roundTerms } from '@medley/study';
import { sessionId } from '@medley/secagg';
import type { Agreement } from '../studies/agreement.ts';

/** What a silo is to do now in one round, or what came of it. */
export interface Task {
  readonly id: RoundId;
  readonly kind: RoundKindName;
  readonly charterHash: string;
  readonly model: BlobName;
  readonly deadlineMs: number;
  readonly sessionId: Uint8Array;
  readonly step: TaskStep;
}

export type TaskStep =
  | Extract<Deliverable, { step: 'advertise' | 'share' | 'mask' | 'confirm' | 'release' }>
  | {
      readonly step: 'closed';
      readonly receipt: Uint8Array;
      readonly aggregate: BlobName;
      readonly nextModel: BlobName;
      readonly proof: LeafProof;
    }
  | { readonly step: 'aborted'; readonly code: string; readonly retried: boolean };

/** The task of one silo in an open round; undefined when it has none, as between two steps. */
export function openTask(open: OpenRound, charterHash: string, index: number): Task | undefined {
  const { state } = open;
  const step = deliverables(state.coordinator, index);
  switch (step.step) {
    case 'none':
    case 'complete':
    case 'aborted':
      return undefined;
    default: {
      const { id, kind, model, deadlineMs, coordinator } = state;
      return { id, kind, charterHash, model, deadlineMs, sessionId: coordinator.sid, step };
    }
  }
}

/** The task that tells of a closed round. Throws STORE_UNUSABLE for a row that is not closed. */
export function closedTask(
  row: RoundRow,
  charterHash: string,
  sid: Uint8Array,
  proof: LeafProof,
): Task {
  const { outcome } = row;
  if (!outcome) throw new MedleyError('STORE_UNUSABLE', `round ${row.round} has no outcome`);
  const { receipt, aggregate, nextModel } = outcome;
  return ended(row, charterHash, sid, {
    step: 'closed',
    receipt,
    aggregate,
    nextModel,
    proof,
  });
}

/** The task that tells of an attempt that failed. */
export function abortedTask(
  row: RoundRow,
  charterHash: string,
  sid: Uint8Array,
  maxAttempts: number,
): Task {
  const retried = row.attempt < maxAttempts;
  return ended(row, charterHash, sid, {
    step: 'aborted',
    code: row.abortCode ?? 'INTERNAL',
    retried,
  });
}

/** The session id of an attempt that is over. */
export function sessionOf(row: RoundRow, agreement: Agreement): Uint8Array {
  const { round, attempt, kind, model } = row;
  return sessionId(roundTerms({ ...agreement, kind, round, attempt, modelHash: model.hash }));
}

function ended(row: RoundRow, charterHash: string, sid: Uint8Array, step: TaskStep): Task {
  const { study, round, attempt, kind, model } = row;
  const id = { study, round, attempt };
  return { id, kind, charterHash, model, deadlineMs: 0, sessionId: sid, step };
}

/** The 32 bytes of a stored hash. */
export function hashBytes(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  if (!bytes) throw new MedleyError('STORE_UNUSABLE', 'a stored hash is not hex');
  return bytes;
}
