import { uniformReal, type Clock, type Rng } from '@medley/kit';

/**
 * Growing pauses between tries: the n-th lies uniformly in [½, 1]·min(maxMs, firstMs·2ⁿ), so that
 * silos which lost one server at the same moment do not come back at the same moment.
 */
export class Backoff {
  readonly #options: { readonly firstMs: number; readonly maxMs: number };
  readonly #clock: Clock;
  readonly #rng: Rng;
  #tries = 0;

  constructor(
    options: { readonly firstMs: number; readonly maxMs: number },
    clock: Clock,
    rng: Rng,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#rng = rng;
  }

  /** Waits for the next pause; rejects with the signal's reason. */
  async pause(signal?: AbortSignal): Promise<void> {
    const { firstMs, maxMs } = this.#options;
    const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#tries, 30));
    this.#tries += 1;
    signal?.throwIfAborted();
    await this.#clock.sleep(fullMs * (0.5 + uniformReal(this.#rng) / 2), signal);
  }

  /** After a success the next pause is short again. */
  reset(): void {
    this.#tries = 0;
  }
}
