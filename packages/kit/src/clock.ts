import { setTimeout as wait } from 'node:timers/promises';

/** Time as a dependency, so that tests and simulations own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await wait(ms, undefined, signal ? { signal } : {});
    } catch (cause) {
      throw signal?.aborted ? signal.reason : cause;
    }
  },
};

/** A clock that stands still until it is told to move; sleepers wake in the order of their due times. */
export class ManualClock implements Clock {
  #now: number;
  #sleepers: { readonly dueMs: number; readonly wake: () => void }[] = [];

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  nowMs(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        reject(signal?.reason as Error);
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const sleeper = { dueMs: this.#now + ms, wake };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Moves time forward by `ms` and wakes every sleeper that is due. */
  advance(ms: number): void {
    this.#now += ms;
    const due = this.#sleepers
      .filter((s) => s.dueMs <= this.#now)
      .sort((a, b) => a.dueMs - b.dueMs);
    this.#sleepers = this.#sleepers.filter((s) => s.dueMs > this.#now);
    for (const sleeper of due) sleeper.wake();
  }
}

/** RFC 3339 in UTC with milliseconds, the one form of time in documents and logs. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
