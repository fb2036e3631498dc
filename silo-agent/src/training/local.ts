import { MedleyError, systemRng, type Clock, type Rng } from '@medley/kit';
import { Engine } from './engine.ts';
import { performRound } from './localRound.ts';
import type { LocalWork, WorkProgress, WorkResult, WorkTask } from './work.ts';

/** Local work in the calling thread, which it blocks for up to a chunk at a time. */
export class InThreadWork implements LocalWork {
  readonly #engine = new Engine();
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #closing = new AbortController();
  #last: Promise<unknown> = Promise.resolve();

  /** `rng` draws lots and noise of private studies: the cryptographic one outside tests. */
  constructor(clock: Clock, rng: Rng = systemRng) {
    this.#clock = clock;
    this.#rng = rng;
  }

  perform(
    task: WorkTask,
    signal?: AbortSignal,
    onProgress?: (progress: WorkProgress) => void,
  ): Promise<WorkResult> {
    const result = this.#last.then(async () => {
      if (this.#closing.signal.aborted) throw closed();
      const either = signal
        ? AbortSignal.any([signal, this.#closing.signal])
        : this.#closing.signal;
      const watch = { clock: this.#clock, signal: either, onProgress };
      return performRound(this.#engine, task, watch, this.#rng);
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#last;
    await this.#engine.close();
  }
}

/** For work that is asked of a closed port. */
export function closed(): MedleyError<'INTERRUPTED'> {
  return new MedleyError('INTERRUPTED', 'local work is closed');
}
