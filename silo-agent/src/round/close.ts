import { MedleyError } from '@medley/kit';
import { wireLength, type SessionTerms } from '@medley/secagg';
import { lastRound } from '@medley/study';
import type { Progress } from './progress.ts';
import { verifyClosed, type VerifiedRound } from './proof.ts';
import { allDone, recordResult } from './result.ts';
import { startingState, type StepContext } from './step.ts';
import type { ClosedRound } from './task.ts';

/** Longest evidence against a silo in the place of a sum; 134 boxes of 200 silos take 150 kB. */
const MOST_EVIDENCE_BYTES = 2 ** 20;

/** A closed round to check, with what this silo knew before. */
export type CloseContext = Omit<StepContext, 'state'> & { readonly closed: ClosedRound };

/**
 * Verifies a closed round and goes on from its model: only then may the next round begin here. Throws
 * ROUND_PROOF_INVALID, ROUND_LOG_FORKED, LOG_FORKED, ROUND_RESULT_MISMATCH, MODEL_STATE_INVALID,
 * RPC_CHUNK_*.
 */
export async function closeRound(context: CloseContext): Promise<void> {
  const { parts, seat, task, terms, progress, closed, signal, deliver } = context;
  const { study, charter } = seat.pinned;
  const { round } = task.id;
  const state = await startingState(context);
  const limit = Math.max(MOST_EVIDENCE_BYTES, wireLength(terms.layout));
  const aggregate = await deliver(() => parts.messages.fetchBlob(closed.aggregate, limit, signal));
  const { kind } = task;
  const seen = progress.checkpoint;
  const verified = verifyClosed({ terms, study, charter, kind, closed, state, aggregate, seen });
  await checkOwnWord(context, terms, verified);
  // Nothing goes on from a round whose checkpoint is of another history than the last one seen.
  const shown = { note: closed.proof.checkpoint, verifierKey: charter.log.verifierKey };
  await deliver(() => parts.witness.observe({ ...shown, isNewest: false }, signal));
  const next: Progress = {
    nextRound: round + 1,
    modelHash: verified.nextModelHash,
    checkpoint: verified.checkpoint,
  };
  // In any order: after a crash between the two the round is verified, and its figures written, again.
  await allDone([
    seat.progress.advance(next, verified.nextState),
    recordResult(parts.home.paths.result(task.id.study), task.id, kind, {
      federated: verified.metrics,
    }),
  ]);
  // From here on the round is refused because it is over, so its states have served.
  await seat.sessions.forget(round);
  const isLast = round === lastRound(study);
  parts.logger.info(isLast ? 'study complete' : 'round verified', {
    study: task.id.study,
    round,
    attempt: task.id.attempt,
    hash: verified.nextModelHash,
    count: verified.receipt.survivors.length,
  });
}

/** What this silo confirmed must be what the receipt says; another set means it was lied to. */
async function checkOwnWord(
  { seat }: CloseContext,
  terms: SessionTerms,
  { receipt }: VerifiedRound,
): Promise<void> {
  const own = await seat.sessions.load(terms);
  if (own === undefined || own === 'ended') return;
  if (own.phase !== 'confirmed' && own.phase !== 'released') return;
  const isSame = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join();
  if (!isSame(own.survivors, receipt.survivors) || !isSame(own.sharers, receipt.sharers)) {
    throw new MedleyError(
      'ROUND_PROOF_INVALID',
      'the receipt names other sets than this silo confirmed',
    );
  }
}
