import { lastRound, plannedCost, readSpend } from '@medley/study';
import type { RoundBook } from '../rounds/book.ts';
import { decodeCourse, type RoundCourse } from '../rounds/codec.ts';
import { nextAttempt, readiness } from '../rounds/opening.ts';
import type { Presence } from '../rounds/presence.ts';
import { awaited, membersOf } from '../rounds/round.ts';
import type { RoundRow, SignatureRow, StudyRow } from '../store/rows.ts';
import type { Store, Tables } from '../store/store.ts';
import { memberName, type Agreement, type Agreements } from './agreement.ts';
import { signingOf, unsigned } from './desk.ts';
import type { Clock } from '@medley/kit';

export interface StatusParts {
  readonly store: Store;
  readonly agreements: Agreements;
  readonly book: RoundBook;
  readonly presence: Presence;
  readonly clock: Clock;
}

/** A study in one line. */
export interface Summary {
  readonly study: string;
  readonly title: string;
  readonly state: string;
  readonly charterHash: string;
  readonly signed: number;
  readonly rosterSize: number;
  /** Last closed round; 0 before the first. */
  readonly round: number;
  readonly rounds: number;
  readonly myDecision: 'none' | 'signed' | 'refused';
}

/** One attempt as operators see it; silos by name. */
export interface RoundReport {
  readonly row: RoundRow;
  readonly step: string;
  readonly steps: RoundCourse['steps'];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface Status {
  readonly summary: Summary;
  readonly rounds: readonly RoundReport[];
  readonly waitingFor: string;
  readonly privacy: PrivacyReport | undefined;
}

/** Terms of a private study and what hospitals have stated. */
export interface PrivacyReport {
  readonly level: string;
  readonly unit: string;
  readonly adjacency: string;
  readonly accountant: string;
  readonly limit: number;
  readonly delta: number;
  readonly planned: number;
  readonly spent: readonly {
    readonly silo: string;
    readonly epsilon: number;
    readonly releases: number;
  }[];
}

/** The summary of a study; `silo` is who asks, for its own decision. */
export async function summarise(
  parts: Pick<StatusParts, 'store' | 'agreements'>,
  row: StudyRow,
  silo?: string,
): Promise<Summary> {
  const { tables } = parts.store;
  const { charter, study } = parts.agreements.of(row);
  const signatures = await tables.signatures.of(row.name);
  return {
    study: row.name,
    title: row.title,
    state: row.pausedMs !== undefined && row.state === 'active' ? 'paused' : row.state,
    charterHash: row.charterHash,
    ...signingOf(signatures, charter),
    round: (await tables.rounds.newestClosed(row.name))?.round ?? 0,
    rounds: lastRound(study),
    myDecision: signatures.find((one) => one.silo === silo)?.decision ?? 'none',
  };
}

/** Everything that operators see of a study. */
export async function statusOf(parts: StatusParts, row: StudyRow): Promise<Status> {
  const { tables } = parts.store;
  const agreement = parts.agreements.of(row);
  const rows = await tables.rounds.of(row.name);
  return {
    privacy: await privacyOf(tables, agreement),
    summary: await summarise(parts, row),
    rounds: rows.map((round) => reportOf(round, agreement, parts.book)),
    waitingFor: waitingFor(
      parts,
      row,
      agreement,
      await tables.signatures.of(row.name),
      rows.at(-1),
    ),
  };
}

async function privacyOf(
  tables: Tables,
  { charter }: Agreement,
): Promise<PrivacyReport | undefined> {
  const { privacy } = charter;
  const cost = plannedCost(charter);
  if (!privacy || !cost) return undefined;
  const rows = await tables.spends.of(charter.study);
  const { level, unit, adjacency, accountant } = privacy;
  return {
    ...{ level, unit, adjacency, accountant },
    ...{ limit: cost.limit, delta: cost.delta, planned: cost.epsilon },
    spent: charter.roster.map(({ silo }) => {
      const own = rows.filter((row) => row.silo === silo);
      const figures = own.map(({ statement }) => readSpend(statement).epsilon);
      return { silo, epsilon: Math.max(0, ...figures), releases: own.length };
    }),
  };
}

function reportOf(row: RoundRow, { charter }: Agreement, book: RoundBook): RoundReport {
  const { study, round, attempt } = row;
  const open = book.find({ study, round, attempt });
  // Read from the open round where there is one: its byte counts run ahead of the row.
  const course = open ? { ...open.state, ...membersOf(open.state) } : decodeCourse(row.state);
  const names = (indices: readonly number[]): string[] =>
    [...new Set(indices)].map((index) => memberName(charter, index));
  const step = open?.state.step ?? row.step;
  return {
    row,
    // To the outside the opening of the sum is the end of the last step.
    step: step === 'unmask' ? 'release' : step,
    steps: course.steps.filter((one) => one.step !== 'unmask'),
    sharers: names(course.sharers),
    survivors: names(course.survivors),
    dropped: names([...course.dropped, ...course.withdrawn].map(({ silo }) => silo)),
    bytesUp: open?.up ?? row.bytesUp,
    bytesDown: open?.down ?? row.bytesDown,
  };
}

function waitingFor(
  { book, presence, clock }: StatusParts,
  row: StudyRow,
  agreement: Agreement,
  signatures: readonly SignatureRow[],
  newest: RoundRow | undefined,
): string {
  const { charter } = agreement;
  if (row.state === 'proposed') {
    const missing = unsigned(signatures, charter);
    const refused = signatures.filter(({ decision }) => decision === 'refused');
    if (refused.length > 0) return `refused by ${refused.map(({ silo }) => silo).join(', ')}`;
    return missing.length > 0 ? `signatures of ${missing.join(', ')}` : 'the operator to start it';
  }
  if (row.state !== 'active') return row.reason ?? '';
  if (row.pausedMs !== undefined && !book.of(row.name)) return 'the operator to resume it';
  const trouble = book.troubles.of(row.name);
  if (trouble) return `the aggregator: ${trouble.code}, ${trouble.detail}`;
  const open = book.of(row.name);
  if (open) {
    const silos = awaited(open.terms, open.state).map((index) => memberName(charter, index));
    return silos.length === 0 ? '' : `${silos.join(', ')} in step ${open.state.step}`;
  }
  const ready = readiness(agreement, presence, clock.nowMs(), row.startedMs);
  if (ready.state === 'wait') return `${ready.missing.join(', ')} to connect`;
  return nextAttempt(agreement, newest) ? 'the next attempt' : '';
}
