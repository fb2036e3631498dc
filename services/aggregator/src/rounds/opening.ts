import { firstRound, kindOfRound, type RoundKind } from '@medley/study';
import type { Agreement } from '../studies/agreement.ts';
import type { RoundId, RoundRow } from '../store/rows.ts';
import type { Presence } from './presence.ts';

/** The attempt that comes next in a study. */
export interface NextAttempt {
  readonly id: RoundId;
  readonly kind: RoundKind;
  /** Not before this time. */
  readonly notBeforeMs: number;
}

/**
 * The attempt after `newest`, undefined after the last round, while one is open and when the attempts
 * of a round are spent. A failed attempt is followed by a pause that doubles, at most one step long,
 * so that a fault which passes by itself does not use up every attempt at once.
 */
export function nextAttempt(
  { charter, study }: Agreement,
  newest: Pick<RoundRow, 'round' | 'attempt' | 'step' | 'closedMs'> | undefined,
): NextAttempt | undefined {
  const next = (round: number, attempt: number, notBeforeMs: number): NextAttempt | undefined => {
    const kind = kindOfRound(study, round);
    return kind && { id: { study: study.name, round, attempt }, kind, notBeforeMs };
  };
  if (!newest) return next(firstRound(study), 1, 0);
  const endedMs = newest.closedMs ?? 0;
  switch (newest.step) {
    case 'closed':
      return next(newest.round + 1, 1, endedMs);
    case 'aborted': {
      if (newest.attempt >= charter.secureAggregation.maxAttempts) return undefined;
      const pauseMs = Math.min(charter.rounds.stepSeconds * 1000, 1000 * 2 ** newest.attempt);
      return next(newest.round, newest.attempt + 1, endedMs + pauseMs);
    }
    default:
      return undefined;
  }
}

/** Whether the silos are there for a round to open. */
export type Readiness =
  | { readonly state: 'ready' }
  /** Look again at this time, or when a stream opens or ends. */
  | {
      readonly state: 'wait';
      readonly untilMs: number | undefined;
      readonly missing: readonly string[];
    };

/**
 * A round opens when every silo of the roster attends. Silos that have been away for longer than their
 * grace are not waited for, as long as the others suffice: a hospital that is down slows no round.
 * `startedMs`: when the study started; hospitals not seen before get their first grace from then.
 */
export function readiness(
  { charter }: Agreement,
  presence: Pick<Presence, 'absentFromMs'>,
  nowMs: number,
  startedMs = 0,
): Readiness {
  const away = charter.roster.flatMap(({ silo }) => {
    const untilMs = presence.absentFromMs(silo, startedMs);
    return untilMs === undefined ? [] : [{ silo, untilMs }];
  });
  if (away.length === 0) return { state: 'ready' };
  const missing = away.map(({ silo }) => silo);
  const { threshold, minSurvivors } = charter.secureAggregation;
  const isEnough = charter.roster.length - away.length >= Math.max(threshold, minSurvivors);
  if (!isEnough) return { state: 'wait', untilMs: undefined, missing };
  const untilMs = Math.max(...away.map((one) => one.untilMs));
  return nowMs >= untilMs ? { state: 'ready' } : { state: 'wait', untilMs, missing };
}
