/** Wakes whoever waits for something to have changed. What changed, they look up themselves. */
export class Signal {
  #waiters = new Set<() => void>();
  #version = 0;
  readonly #wider: Signal | undefined;

  /** `wider` is raised with this one: whoever waits for more than this waits there. */
  constructor(wider?: Signal) {
    this.#wider = wider;
  }

  /** Grows with every {@link Signal.raise}. */
  get version(): number {
    return this.#version;
  }

  raise(): void {
    this.#version++;
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const wake of waiters) wake();
    this.#wider?.raise();
  }

  /**
   * Resolves at the next raise, at once when one came after `seen`, or when `stop` aborts. The caller
   * reads {@link Signal.version} before it looks at the state, so that no change is missed.
   */
  changed(seen: number, stop: AbortSignal): Promise<void> {
    if (this.#version !== seen || stop.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        stop.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      stop.addEventListener('abort', wake);
    });
  }
}
