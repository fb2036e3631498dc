import type { Clock } from '@medley/kit';

/** A process of the simulation: when it is dead nothing of it ever happens again. */
export interface Life {
  isAlive: boolean;
  /** How far its wall clock is from the others', in milliseconds. Waits are not affected by it. */
  skewMs: number;
}

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** Time that moves only when nothing is left to do, and then to the next thing that is due. */
export class SimTime {
  #nowMs: number;
  #sleepers: Sleeper[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** The clock of one process. */
  of(life: Life): Clock {
    return {
      nowMs: () => Math.floor(this.#nowMs + life.skewMs),
      sleep: (ms, signal) => this.#sleep(ms, life, signal),
    };
  }

  /** Wakes the next sleeper; false when nobody sleeps. */
  next(): boolean {
    let first: Sleeper | undefined;
    for (const one of this.#sleepers) if (!first || one.dueMs < first.dueMs) first = one;
    if (!first) return false;
    this.#drop(first);
    this.#nowMs = Math.max(this.#nowMs, first.dueMs);
    first.wake();
    return true;
  }

  #sleep(ms: number, life: Life, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const abort = (): void => {
        this.#drop(sleeper);
        reject(signal?.reason as Error);
      };
      const sleeper = {
        dueMs: this.#nowMs + Math.max(0, ms),
        wake: () => {
          signal?.removeEventListener('abort', abort);
          if (life.isAlive) resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  #drop(sleeper: Sleeper): void {
    this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
  }
}

/** Turns of the event loop without any work after which nothing more comes by itself. */
const CALM_TURNS = 3;

/** Resolves when no file is being read or written and `isBusy` has been false for a few turns. */
export async function calm(isBusy: () => boolean): Promise<void> {
  for (let turns = 0; turns < CALM_TURNS;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    turns = isBusy() || hasFileWork() ? 0 : turns + 1;
  }
}

function hasFileWork(): boolean {
  return process
    .getActiveResourcesInfo()
    .some((name) => name.startsWith('FSReq') || name === 'CloseReq');
}

/** A promise for what will never come: the caller is dead or waits for a dead one. */
export function never(): Promise<never> {
  return new Promise(() => undefined);
}
