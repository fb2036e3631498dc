import { MedleyError, type Clock, type ErrorCode } from '@medley/kit';
import type { StudyStatus__Output } from '@medley/rpc';
import { connectAdmin } from './connection.ts';
import type { OperatorHome } from './home.ts';
import { isOver, studyReport, type StudyReport } from './progress.ts';

/** What a restart of the aggregator or a broken network looks like from here. */
const LOSSES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'RPC_UNAVAILABLE',
  'RPC_DEADLINE',
  'RPC_PEER_FAILED',
  'RPC_BUSY',
  'OPERATOR_SERVER_DOWN',
  // By the transport, when the other side resets the stream; our own ends with the signal.
  'INTERRUPTED',
]);
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** Longest time without an answer that is waited through. */
const GIVE_UP_MS = 300_000;

export interface WatchOptions {
  readonly home: OperatorHome;
  readonly study: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told when the connection is lost and how long the next attempt waits. */
  readonly onLost: (loss: MedleyError, pauseMs: number) => void;
}

/**
 * The status of a study now and whenever it changes, until the study is over. A connection that is
 * lost after the first answer is made again with growing pauses, for five minutes; where the
 * aggregator listens is read anew each time. Throws the loss after that, INTERRUPTED when the signal
 * aborts, and at once what the aggregator refuses.
 */
export async function* watchStudy(options: WatchOptions): AsyncGenerator<StudyReport> {
  const { clock, signal, onLost } = options;
  let hasAnswered = false;
  let lostMs: number | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    let loss: MedleyError = new MedleyError('RPC_UNAVAILABLE', 'the aggregator ended the stream');
    try {
      for await (const status of statuses(options)) {
        hasAnswered = true;
        lostMs = undefined;
        pauseMs = FIRST_PAUSE_MS;
        const report = studyReport(status);
        yield report;
        if (isOver(report)) return;
      }
    } catch (caught) {
      loss = MedleyError.from(caught);
      if (signal.aborted || !LOSSES.has(loss.code)) throw loss;
    }
    lostMs ??= clock.nowMs();
    if (!hasAnswered || clock.nowMs() - lostMs > GIVE_UP_MS) throw loss;
    onLost(loss, pauseMs);
    await clock.sleep(pauseMs, signal);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}

async function* statuses({
  home,
  study,
  signal,
}: WatchOptions): AsyncGenerator<StudyStatus__Output> {
  const admin = await connectAdmin(home);
  try {
    yield* admin.watchStudy({ study }, { signal });
  } finally {
    admin.close();
  }
}
