import type { RoundStatus__Output, StudyStatus__Output } from '@medley/rpc';

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
  /** Federated figures as docs/protocol.md describes them; null while the round is open. */
  readonly metrics: Metrics | null;
}

export interface Metrics {
  readonly kind: string;
  readonly trainLoss?: number | null;
  readonly evaluation?: { readonly auc: number | null; readonly loss: number | null };
  readonly [name: string]: unknown;
}

/** A study as `--json` shows it. */
export interface StudyReport {
  readonly study: string;
  readonly title: string;
  readonly state: string;
  readonly charterHash: string;
  readonly signed: number;
  readonly rosterSize: number;
  readonly round: number;
  readonly lastRound: number;
  readonly waitingFor: string | null;
  readonly rounds: readonly RoundReport[];
}

/** The wire's status in the form of the command line. */
export function studyReport(status: StudyStatus__Output): StudyReport {
  const { summary } = status;
  return {
    study: summary?.study ?? '',
    title: summary?.title ?? '',
    state: summary?.state ?? '',
    charterHash: summary?.charterHash ?? '',
    signed: summary?.signed ?? 0,
    rosterSize: summary?.rosterSize ?? 0,
    round: summary?.round ?? 0,
    lastRound: summary?.rounds ?? 0,
    waitingFor: status.waitingFor || null,
    rounds: status.rounds.map(roundReport),
  };
}

/** True when no further round will come. */
export function isOver(report: StudyReport): boolean {
  return !['draft', 'proposed', 'active'].includes(report.state);
}

function roundReport(round: RoundStatus__Output): RoundReport {
  const text = new TextDecoder().decode(round.metrics);
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
    metrics: text === '' ? null : (JSON.parse(text) as Metrics),
  };
}

const BAR_WIDTH = 24;

/** One line of progress: a bar, the round, its step and the newest federated figures. */
export function progressLine(report: StudyReport): string {
  const closed = report.rounds.filter(({ step }) => step === 'closed');
  const share = report.lastRound === 0 ? 0 : Math.min(1, closed.length / (report.lastRound + 1));
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const open = report.rounds.find(({ step }) => step !== 'closed' && step !== 'aborted');
  const measured = closed.findLast(({ metrics }) => metrics?.evaluation?.auc != null);
  const auc = measured?.metrics?.evaluation?.auc;
  const parts = [
    `${bar} round ${String(open?.round ?? report.round)}/${String(report.lastRound)}`,
    open ? open.step : report.state,
    ...(auc == null ? [] : [`AUC ${auc.toFixed(4)}`]),
    ...(report.waitingFor ? [report.waitingFor] : []),
  ];
  return parts.join('  ');
}
