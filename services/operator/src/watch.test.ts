import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MedleyError, systemClock, type Clock } from '@medley/kit';
import type { StudyStatus } from '@medley/rpc';
import { startTestConsortium, type TestConsortium } from '../../../tests/support/operator.ts';
import { openHome } from './home.ts';
import type { StudyReport } from './progress.ts';
import { watchStudy } from './watch.ts';

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
});
beforeEach(async () => {
  Object.assign(consortium.admin, { statuses: [], keepsWatching: false });
  await consortium.stopAggregator();
  await consortium.startAggregator();
});
afterAll(() => consortium.close());

function status(round: number, state = 'active'): StudyStatus {
  return { summary: { study: 's', state, round, rounds: 9 } };
}

/** Waits are over at once and counted as time. */
class HastyClock implements Clock {
  now = 0;
  readonly slept: number[] = [];
  nowMs = () => this.now;
  sleep = async (ms: number, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    this.slept.push(ms);
    this.now += ms;
  };
}

async function follow(options: {
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly onReport?: (report: StudyReport) => unknown;
  readonly onLost?: (loss: MedleyError) => unknown;
}): Promise<number[]> {
  const rounds: number[] = [];
  const reports = watchStudy({
    home: await openHome(consortium.home),
    study: 's',
    clock: options.clock ?? systemClock,
    signal: options.signal ?? new AbortController().signal,
    onLost: (loss) => options.onLost?.(loss),
  });
  for await (const report of reports) {
    rounds.push(report.round);
    await options.onReport?.(report);
  }
  return rounds;
}

test('ends with the study', async () => {
  consortium.admin.statuses = [status(1), status(2), status(3, 'completed')];
  consortium.admin.keepsWatching = true;
  expect(await follow({})).toEqual([1, 2, 3]);
});

describe('a lost connection', () => {
  test('is made again, wherever the aggregator listens now', async () => {
    const { admin } = consortium;
    admin.statuses = [status(1)];
    admin.keepsWatching = true;
    const losses: string[] = [];
    const rounds = await follow({
      clock: new HastyClock(),
      onReport: async ({ round }) => {
        if (round === 1) await consortium.stopAggregator();
      },
      onLost: async ({ code }) => {
        losses.push(code);
        admin.statuses = [status(4), status(5, 'completed')];
        if (losses.length === 1) await consortium.startAggregator();
      },
    });
    expect(rounds).toEqual([1, 4, 5]);
    expect(losses[0]).toMatch(/^RPC_|INTERRUPTED/);
  });

  test('is retried with growing pauses and given up after five minutes', async () => {
    consortium.admin.statuses = [status(1)];
    const clock = new HastyClock();
    const ended = follow({ clock, onReport: () => consortium.stopAggregator() });
    await expect(ended).rejects.toMatchObject({ code: 'RPC_UNAVAILABLE' });
    expect(clock.slept.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 10_000]);
    expect(clock.now).toBeGreaterThan(300_000);
    expect(clock.now).toBeLessThan(320_000);
  });

  test('before the first answer is reported at once', async () => {
    await consortium.stopAggregator();
    const clock = new HastyClock();
    await expect(follow({ clock })).rejects.toMatchObject({ code: 'RPC_UNAVAILABLE' });
    expect(clock.slept).toEqual([]);
  });

  test('includes a stream that just ends', async () => {
    const { admin } = consortium;
    admin.statuses = [status(1)];
    const onLost = (): void => void (admin.statuses = [status(2, 'completed')]);
    expect(await follow({ clock: new HastyClock(), onLost })).toEqual([1, 2]);
  });
});

describe('what is not a loss', () => {
  test('is thrown at once', async () => {
    const clock = new HastyClock();
    await expect(follow({ clock })).rejects.toMatchObject({ code: 'STUDY_UNKNOWN' });
    expect(clock.slept).toEqual([]);
  });

  test('Ctrl-C ends a quiet stream', async () => {
    consortium.admin.statuses = [status(1)];
    consortium.admin.keepsWatching = true;
    const stop = new AbortController();
    const onReport = (): void => stop.abort(new MedleyError('INTERRUPTED', 'SIGINT'));
    const ended = follow({ signal: stop.signal, onReport });
    await expect(ended).rejects.toMatchObject({ code: 'INTERRUPTED', message: 'SIGINT' });
  });

  test('Ctrl-C ends the wait for the next attempt', async () => {
    consortium.admin.statuses = [status(1)];
    const stop = new AbortController();
    const onLost = (): void => stop.abort(new MedleyError('INTERRUPTED', 'SIGINT'));
    const ended = follow({ signal: stop.signal, onLost });
    await expect(ended).rejects.toMatchObject({ code: 'INTERRUPTED', message: 'SIGINT' });
  });
});
