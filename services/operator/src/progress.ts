import { checkSchema, MedleyError, printable, type JsonSchema } from '@medley/kit';
import type { RoundStatus__Output, StudySummary__Output, StudyStatus__Output } from '@medley/rpc';

/** One round as `--json` shows it. Times are milliseconds since the epoch. */
export interface RoundReport {
  readonly round: number;
  readonly attempt: number;
  readonly kind: string;
  readonly step: string;
  readonly openedMs: number;
  readonly closedMs: number | null;
  readonly steps: readonly { readonly step: string; readonly atMs: number }[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  readonly dropped: readonly string[];
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly abortCode: string | null;
  /** Federated figures (docs/protocol.md, section 10); null while the round is open. */
  readonly metrics: Metrics | null;
}

/** What a round's sum decoded to, as far as the command line shows it. */
export interface Metrics {
  readonly kind: string;
  readonly evaluation?: { readonly auc: number | null; readonly loss: number | null };
  readonly [name: string]: unknown;
}

/** A study in a list, as `--json` shows it. */
export interface StudyLine {
  readonly study: string;
  readonly title: string;
  readonly state: string;
  readonly charterHash: string;
  readonly signed: number;
  readonly rosterSize: number;
  /** Last closed round; 0 before the first. */
  readonly round: number;
  readonly lastRound: number;
}

/** A study as `--json` shows it. */
export interface StudyReport extends StudyLine {
  /** Why nothing moves, in words, when nothing moves. */
  readonly waitingFor: string | null;
  /** Differential privacy of the study, null where it has none. */
  readonly privacy: PrivacyReport | null;
  /** Every attempt of every round, in order. */
  readonly rounds: readonly RoundReport[];
}

/** What a private study may take at each hospital and what has been taken; ε at `delta`. */
export interface PrivacyReport {
  readonly level: string;
  readonly unit: string;
  readonly adjacency: string;
  readonly accountant: string;
  readonly limit: number;
  readonly delta: number;
  /** At the end of the study. */
  readonly planned: number;
  readonly spent: readonly {
    readonly silo: string;
    readonly epsilon: number;
    readonly releases: number;
  }[];
}

const FIGURE = { type: ['number', 'null'] };
const METRICS_SCHEMA: JsonSchema = {
  type: 'object',
  required: ['kind'],
  properties: {
    kind: { type: 'string' },
    evaluation: {
      type: 'object',
      required: ['auc', 'loss'],
      properties: { auc: FIGURE, loss: FIGURE },
    },
  },
};

/** The wire's status in the form of the command line. Throws RPC_MESSAGE_INVALID. */
export function studyReport(status: StudyStatus__Output): StudyReport {
  if (!status.summary) throw new MedleyError('RPC_MESSAGE_INVALID', 'a status of no study');
  return {
    ...studyLine(status.summary),
    waitingFor: status.waitingFor || null,
    privacy: status.privacy ? privacyReport(status.privacy) : null,
    rounds: status.rounds.map(roundReport),
  };
}

function privacyReport(privacy: NonNullable<StudyStatus__Output['privacy']>): PrivacyReport {
  const { level, unit, adjacency, accountant, limit, delta, planned, spent } = privacy;
  return { level, unit, adjacency, accountant, limit, delta, planned, spent };
}

/** The wire's summary in the form of the command line. */
export function studyLine(summary: StudySummary__Output): StudyLine {
  const { study, title, state, charterHash, signed, rosterSize, round, rounds } = summary;
  return { study, title, state, charterHash, signed, rosterSize, round, lastRound: rounds };
}

/** True when no further round will come. */
export function isOver({ state }: StudyLine): boolean {
  return state !== 'proposed' && state !== 'active' && state !== 'paused';
}

function roundReport(round: RoundStatus__Output): RoundReport {
  return {
    round: round.round,
    attempt: round.attempt,
    kind: round.kind,
    step: round.step,
    openedMs: Number(round.openedMs),
    closedMs: Number(round.closedMs) || null,
    steps: round.steps.map(({ step, atMs }) => ({ step, atMs: Number(atMs) })),
    sharers: round.sharers,
    survivors: round.survivors,
    dropped: round.dropped,
    bytesUp: Number(round.bytesUp),
    bytesDown: Number(round.bytesDown),
    abortCode: round.abortCode || null,
    metrics: round.metrics.length === 0 ? null : readMetrics(round.metrics),
  };
}

function readMetrics(bytes: Uint8Array): Metrics {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new MedleyError('RPC_MESSAGE_INVALID', 'metrics are not JSON', { cause });
  }
  checkSchema(value, METRICS_SCHEMA, 'RPC_MESSAGE_INVALID', (path) => `metrics ${path.join('.')}`);
  return value as Metrics; // checked above
}

const BAR_WIDTH = 24;

/** One line of progress: a bar, the round, its step and the newest federated AUC. */
export function progressLine(report: StudyReport): string {
  const { round, lastRound, rounds, state, waitingFor } = report;
  const closed = rounds.filter(({ step }) => step === 'closed');
  const done = closed.length === 0 ? 0 : Math.min(1, (round + 1) / (lastRound + 1));
  const filled = Math.round(done * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const open = rounds.find(({ step }) => step !== 'closed' && step !== 'aborted');
  const auc = closed.findLast(({ metrics }) => metrics?.evaluation?.auc != null)?.metrics
    ?.evaluation?.auc;
  const parts = [
    `${bar} round ${open?.round ?? round}/${lastRound}`,
    open ? open.step : state,
    ...(auc == null ? [] : [`AUC ${auc.toFixed(4)}`]),
    ...(waitingFor ? [`(${waitingFor})`] : []),
  ];
  return printable(parts.join('  '));
}
