import { MedleyError, type Clock, type ErrorCode } from '@medley/kit';

/** Pause before a study is tried again after the disk or the database failed it. */
const RETRY_MS = 1000;

/** What keeps one study from going on until somebody mends it. */
export interface Trouble {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly retryAtMs: number;
}

/**
 * Studies that cannot go on for a fault of this machine, as a full disk or a damaged file. They are
 * tried again for ever and ended never: what silos have released in an attempt they release in no
 * other, so giving an attempt up would lose the round.
 */
export class Troubles {
  readonly #clock: Clock;
  readonly #byStudy = new Map<string, Trouble>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(study: string): Trouble | undefined {
    return this.#byStudy.get(study);
  }

  /** True while the study is not to be tried again yet. */
  isPaused(study: string): boolean {
    return (this.#byStudy.get(study)?.retryAtMs ?? 0) > this.#clock.nowMs();
  }

  /** Takes note of a failure. Gives it when it is another than before, so that logs name it once. */
  note(study: string, caught: unknown): Trouble | undefined {
    const { code, message: detail } = MedleyError.from(caught);
    const before = this.#byStudy.get(study);
    const trouble = { code, detail, retryAtMs: this.#clock.nowMs() + RETRY_MS };
    this.#byStudy.set(study, trouble);
    return before?.code === code && before.detail === detail ? undefined : trouble;
  }

  end(study: string): void {
    this.#byStudy.delete(study);
  }
}
