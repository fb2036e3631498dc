import { equalBytes, MedleyError } from '@medley/kit';
import { sessionId, type SessionTerms } from '@medley/secagg';
import { roundTerms } from '@medley/study';
import type { PinnedStudy } from '../study/folder.ts';
import type { Progress } from './progress.ts';
import type { SessionSummary } from './session.ts';
import type { Task } from './task.ts';

/**
 * The terms of a task's session as the signed charter makes them, never as the wire says. Throws
 * STUDY_CHANGED for another charter, STUDY_ROUND_INVALID for a round, kind or attempt that the charter
 * does not have, ROUND_SESSION_MISMATCH when the aggregator computed another session.
 */
export function termsOf(pinned: PinnedStudy, task: Task): SessionTerms {
  if (task.charterHash !== pinned.charterHash) {
    throw new MedleyError('STUDY_CHANGED', `a task under another charter of ${task.id.study}`);
  }
  const { round, attempt } = task.id;
  const terms = derivedTerms(pinned, task);
  if (!equalBytes(sessionId(terms), task.sessionId)) {
    throw new MedleyError(
      'ROUND_SESSION_MISMATCH',
      `round ${String(round)}, attempt ${String(attempt)}`,
    );
  }
  return terms;
}

/** Terms of the last attempt of each study: its tasks come one after the other. */
const derived = new WeakMap<PinnedStudy, { readonly key: string; readonly terms: SessionTerms }>();

function derivedTerms(pinned: PinnedStudy, { id, kind, model }: Task): SessionTerms {
  const { round, attempt } = id;
  const key = `${kind} ${String(round)} ${String(attempt)} ${model.hex}`;
  const known = derived.get(pinned);
  if (known?.key === key) return known.terms;
  const { charter, study } = pinned;
  const terms = roundTerms({ charter, study, kind, round, attempt, modelHash: model.hex });
  derived.set(pinned, { key, terms });
  return terms;
}

/**
 * Whether a step of a running attempt may be taken. `stale` steps are of a round or attempt that is
 * over and need no answer. Throws ROUND_MODEL_MISMATCH for a model that is not the verified one,
 * ROUND_MODEL_UNPROVEN for a round whose predecessor was not proven here, and SECAGG_ROUND_RELEASED
 * for another attempt of a round in which this silo has released shares (design: "retry of a round").
 */
export function admitStep(
  task: Task,
  progress: Progress,
  sessions: readonly SessionSummary[],
): 'current' | 'stale' {
  const { round, attempt } = task.id;
  if (round < progress.nextRound) return 'stale';
  if (round > progress.nextRound) {
    throw new MedleyError(
      'ROUND_MODEL_UNPROVEN',
      `round ${String(round)} before round ${String(progress.nextRound)}`,
    );
  }
  if (task.model.hex !== progress.modelHash) {
    throw new MedleyError('ROUND_MODEL_MISMATCH', `round ${String(round)} from ${task.model.hex}`);
  }
  const others = sessions.filter((one) => one.round === round && one.attempt !== attempt);
  if (others.some(({ phase }) => phase === 'released')) {
    throw new MedleyError(
      'SECAGG_ROUND_RELEASED',
      `round ${String(round)}, attempt ${String(attempt)}`,
    );
  }
  return others.some((one) => one.attempt > attempt) ? 'stale' : 'current';
}

/**
 * Whether a closed round brings something new. A round that was missed is taken: the t signatures in
 * its receipt stand under a session that names the model it started from. Throws ROUND_MODEL_MISMATCH
 * when the round did not start where the last one ended, ROUND_RESULT_MISMATCH when a round that was
 * verified before now has another end.
 */
export function admitClosed(task: Task, progress: Progress): 'new' | 'known' {
  const { round } = task.id;
  const next = task.step.name === 'closed' ? task.step.nextModel.hex : undefined;
  if (round === progress.nextRound - 1 && next !== progress.modelHash) {
    throw new MedleyError('ROUND_RESULT_MISMATCH', `a second end of round ${String(round)}`);
  }
  if (round < progress.nextRound) return 'known';
  if (round === progress.nextRound && task.model.hex !== progress.modelHash) {
    throw new MedleyError('ROUND_MODEL_MISMATCH', `round ${String(round)} from ${task.model.hex}`);
  }
  return 'new';
}
