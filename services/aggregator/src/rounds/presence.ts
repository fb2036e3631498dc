import type { Clock } from '@medley/kit';
import { Signal } from './signal.ts';

export interface Graces {
  /** How long a silo whose stream broke may take to come back. */
  readonly disconnectGraceMs: number;
  /** The same for silos not seen since this process, or their study, started. */
  readonly startGraceMs: number;
}

/** Which silos have an Attend stream open. Kept in memory: a restart starts with nobody. */
export class Presence {
  readonly #clock: Clock;
  readonly #graces: Graces;
  readonly #startedMs: number;
  readonly #moved: Signal;
  readonly #streams = new Map<string, number>();
  readonly #leftMs = new Map<string, number>();

  /** `moved` is raised whenever a silo comes or goes. */
  constructor(clock: Clock, graces: Graces, moved: Signal = new Signal()) {
    this.#moved = moved;
    this.#clock = clock;
    this.#graces = graces;
    this.#startedMs = clock.nowMs();
  }

  /** Opens a stream of the silo; the result closes it. */
  enter(silo: string): () => void {
    this.#streams.set(silo, (this.#streams.get(silo) ?? 0) + 1);
    this.#moved.raise();
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#streams.get(silo) ?? 1) - 1;
      this.#streams.set(silo, left);
      if (left === 0) this.#leftMs.set(silo, this.#clock.nowMs());
      this.#moved.raise();
    };
  }

  isAttending(silo: string): boolean {
    return (this.#streams.get(silo) ?? 0) > 0;
  }

  /**
   * When rounds stop waiting for the silo; undefined while it attends. A silo that was never seen has
   * `startGraceMs` from the start of this process or from `sinceMs`, whichever is later.
   */
  absentFromMs(silo: string, sinceMs = 0): number | undefined {
    if (this.isAttending(silo)) return undefined;
    const leftMs = this.#leftMs.get(silo);
    return leftMs === undefined
      ? Math.max(this.#startedMs, sinceMs) + this.#graces.startGraceMs
      : leftMs + this.#graces.disconnectGraceMs;
  }

  /** True when rounds no longer wait for the silo. */
  isAbsent(silo: string): boolean {
    const fromMs = this.absentFromMs(silo);
    return fromMs !== undefined && this.#clock.nowMs() >= fromMs;
  }
}
