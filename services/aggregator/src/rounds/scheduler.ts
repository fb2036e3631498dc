import { MedleyError, type Clock, type Logger } from '@medley/kit';
import type { Progress } from './progress.ts';
import type { Signal } from './signal.ts';

/** How long the scheduler waits after a tick that failed, so that a full disk is not hammered. */
const RETRY_MS = 1000;

export interface SchedulerParts {
  readonly progress: Pick<Progress, 'tick' | 'nextDueMs'>;
  readonly changed: Signal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Ticks the runner at every change and every due time until `stop` aborts. */
export async function runScheduler(parts: SchedulerParts, stop: AbortSignal): Promise<void> {
  const { progress, changed, clock, logger } = parts;
  while (!stop.aborted) {
    const seen = changed.version;
    let dueMs: number | undefined;
    try {
      await progress.tick();
      dueMs = await progress.nextDueMs();
    } catch (caught) {
      const { code, message } = MedleyError.from(caught);
      logger.error('scheduler failed', { code, detail: message });
      dueMs = clock.nowMs() + RETRY_MS;
    }
    await waitFor(changed, seen, dueMs, clock, stop);
  }
}

/** Resolves at the next change, at `dueMs`, or when `stop` aborts; leaves no timer behind. */
export async function waitFor(
  changed: Signal,
  seen: number,
  dueMs: number | undefined,
  clock: Clock,
  stop: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const end = (): void => over.abort();
  if (stop.aborted) end();
  // Not AbortSignal.any: a stream that lives for days would keep one more of them for every wait.
  stop.addEventListener('abort', end, { once: true });
  const waits = [changed.changed(seen, over.signal)];
  if (dueMs !== undefined) {
    const ms = Math.max(0, dueMs - clock.nowMs());
    waits.push(clock.sleep(ms, over.signal).catch(() => undefined));
  }
  await Promise.race(waits);
  stop.removeEventListener('abort', end);
  end();
}
