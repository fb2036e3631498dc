import { MedleyError, type Clock } from '@medley/kit';

export interface CallLimits {
  /** Calls that one caller may have open at a time, streams among them. */
  readonly callsInFlight: number;
  /** Calls that one caller may begin per second; as many again at once after a pause. */
  readonly callsPerSecond: number;
}

/** Callers remembered before the ones that wait for nothing are forgotten. */
const MOST_CALLERS = 10_000;

interface Caller {
  inFlight: number;
  /** Calls that it may begin now, at most one second's worth. */
  credit: number;
  /** When `credit` was counted. */
  atMs: number;
}

/**
 * Counts the calls of every caller, so that none takes the server's time from the others: a token
 * bucket of one second for beginnings, and a ceiling on what is open.
 */
export class CallGate {
  readonly #limits: CallLimits;
  readonly #clock: Clock;
  readonly #callers = new Map<string, Caller>();

  constructor(limits: CallLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Callers that are remembered. */
  get size(): number {
    return this.#callers.size;
  }

  /**
   * Admits a call of `caller`; the result ends it, once however often it is called. Throws RPC_BUSY, which
   * costs the caller nothing but the call.
   */
  enter(caller: string): () => void {
    const { callsInFlight, callsPerSecond } = this.#limits;
    const known = this.#refill(caller);
    if (known.inFlight >= callsInFlight) {
      throw new MedleyError('RPC_BUSY', `${caller} has ${callsInFlight} calls open`);
    }
    if (known.credit < 1) {
      throw new MedleyError('RPC_BUSY', `${caller} began ${callsPerSecond} calls in a second`);
    }
    known.credit -= 1;
    known.inFlight += 1;
    let isOpen = true;
    return () => {
      if (isOpen) known.inFlight -= 1;
      isOpen = false;
    };
  }

  #refill(name: string): Caller {
    const { callsPerSecond } = this.#limits;
    const nowMs = this.#clock.nowMs();
    let caller = this.#callers.get(name);
    if (!caller) {
      if (this.#callers.size >= MOST_CALLERS) this.#forget(nowMs);
      caller = { inFlight: 0, credit: callsPerSecond, atMs: nowMs };
      this.#callers.set(name, caller);
    }
    // A clock that is set back gives nothing and takes nothing.
    const passedMs = Math.max(0, nowMs - caller.atMs);
    caller.credit = Math.min(callsPerSecond, caller.credit + (passedMs / 1000) * callsPerSecond);
    caller.atMs = nowMs;
    return caller;
  }

  /** A caller that was silent for a second is as good as new. */
  #forget(nowMs: number): void {
    for (const [name, { inFlight, atMs }] of this.#callers) {
      if (inFlight === 0 && nowMs - atMs >= 1000) this.#callers.delete(name);
    }
  }
}
