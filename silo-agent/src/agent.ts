import { MedleyError, type Clock, type Logger } from '@medley/kit';
import type {
  Assignment__Output,
  CheckpointNotice__Output,
  StudyNotice__Output,
} from '@medley/rpc';
import { Backoff } from './backoff.ts';
import type { RoundParts } from './round/seat.ts';
import { StudyRunner } from './round/runner.ts';
import { decodeTask } from './round/task.ts';
import type { WitnessHead } from './witness/record.ts';

/** The stream of assignments; over gRPC or a fake. Ends or throws when the connection does. */
export type Attend = (signal: AbortSignal) => AsyncIterable<Assignment__Output>;

export interface AgentParts extends RoundParts {
  readonly attend: Attend;
  /** Hands in the cosignature of a checkpoint that is on disk. */
  readonly vouch: (head: WitnessHead, signal: AbortSignal) => Promise<void>;
}

/** When the agent stops. */
export interface AgentSignals {
  /** Finish the attempts that are open, begin none, then stop. */
  readonly drain: AbortSignal;
  /** Stop at once. */
  readonly stop: AbortSignal;
  /** Longest time to drain, in milliseconds. */
  readonly drainMs: number;
}

/** Pauses between connections: half a second at first, then up to half a minute. */
const RECONNECT = { firstMs: 500, maxMs: 30_000 };
/** Silence that is borne before the first heartbeat says how much is. */
const FIRST_LEASE_MS = 30_000;
const DRAIN_CHECK_MS = 100;

/**
 * The agent at work: attends the aggregator, comes back whenever the connection is lost, and hands
 * each task to its study's runner. Nothing here depends on having seen an earlier message, so losing
 * the connection at any point loses nothing. Returns when drained or stopped.
 */
export class Agent {
  readonly #parts: AgentParts;
  readonly #log: Logger;
  readonly #runners = new Map<string, StudyRunner>();
  #isDraining = false;
  #vouching: Promise<void> = Promise.resolve();

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#log = parts.logger;
  }

  async run({ drain, stop, drainMs }: AgentSignals): Promise<void> {
    const over = new AbortController();
    const end = AbortSignal.any([stop, over.signal]);
    const drained = this.#drained(drain, end, drainMs).then(() => over.abort(stopped()));
    try {
      await this.#attendForever(end);
    } finally {
      over.abort(stopped());
      await drained;
      await this.#vouching;
      await Promise.all([...this.#runners.values()].map((runner) => runner.close()));
    }
  }

  async #attendForever(end: AbortSignal): Promise<void> {
    const backoff = new Backoff(RECONNECT, this.#parts.clock, this.#parts.rng);
    while (!end.aborted) {
      try {
        await this.#attendOnce(end, () => backoff.reset());
        this.#log.info('connection closed by the aggregator');
      } catch (caught) {
        if (isAborted(end)) return;
        const { code, message } = MedleyError.from(caught);
        this.#log.warn('not connected', { code, detail: message });
      }
      await backoff.pause(end).catch(() => undefined);
    }
  }

  async #attendOnce(end: AbortSignal, onAlive: () => void): Promise<void> {
    const lease = new Lease(this.#parts.clock, end);
    try {
      for await (const assignment of this.#parts.attend(lease.signal)) {
        if (assignment.heartbeat) lease.renew(assignment.heartbeat.leaseMs);
        else lease.renew();
        onAlive();
        this.#assign(assignment, end);
      }
    } finally {
      lease.end();
    }
  }

  #assign({ round, study, checkpoint }: Assignment__Output, end: AbortSignal): void {
    if (study) this.#notice(study);
    if (checkpoint) this.#checkpoint(checkpoint, end);
    if (!round) return;
    try {
      const task = decodeTask(round);
      this.#runnerOf(task.id.study).offer(task);
    } catch (caught) {
      const { code, message } = MedleyError.from(caught);
      this.#log.warn('task refused', { code, detail: message });
    }
  }

  /**
   * Checked in the order of arrival, whatever the cosignatures before it wait for: after a closed round
   * that shows a newer checkpoint, this one would look like a rollback.
   */
  #checkpoint({ note, verifierKey }: CheckpointNotice__Output, end: AbortSignal): void {
    const head = this.#parts.witness.observe({ note, verifierKey, isNewest: true }, end);
    const before = this.#vouching;
    this.#vouching = Promise.allSettled([head, before]).then(() => this.#vouch(head, end));
  }

  /** Says that a checkpoint was checked. Never throws. */
  async #vouch(head: Promise<WitnessHead>, end: AbortSignal): Promise<void> {
    try {
      await this.#parts.vouch(await head, end);
    } catch (caught) {
      if (isAborted(end)) return;
      const { code, message } = MedleyError.from(caught);
      const level = code === 'LOG_FORKED' ? 'error' : 'warn';
      this.#log[level]('checkpoint not cosigned', { code, detail: message });
    }
  }

  #notice({ study, state }: StudyNotice__Output): void {
    this.#log.info('study', { study, detail: state });
  }

  #runnerOf(study: string): StudyRunner {
    let runner = this.#runners.get(study);
    if (!runner) {
      runner = new StudyRunner(this.#parts, study);
      if (this.#isDraining) runner.drain();
      this.#runners.set(study, runner);
    }
    return runner;
  }

  /** Resolves when draining was asked for and is done, or when `end` comes first. */
  async #drained(drain: AbortSignal, end: AbortSignal, drainMs: number): Promise<void> {
    await aborted(AbortSignal.any([drain, end]));
    this.#isDraining = true;
    for (const runner of this.#runners.values()) runner.drain();
    const { clock } = this.#parts;
    const limitMs = clock.nowMs() + drainMs;
    const isBusy = (): boolean => [...this.#runners.values()].some((runner) => runner.isBusy);
    if (isBusy() && !end.aborted) this.#log.info('finishing open rounds', { ms: drainMs });
    while (!end.aborted && isBusy() && clock.nowMs() < limitMs) {
      await clock.sleep(DRAIN_CHECK_MS, end).catch(() => undefined);
    }
  }
}

/** Ends a stream on which nothing has come for as long as the last heartbeat allows. */
class Lease {
  readonly #clock: Clock;
  readonly #over = new AbortController();
  readonly signal: AbortSignal;
  #timer = new AbortController();
  #leaseMs = FIRST_LEASE_MS;

  constructor(clock: Clock, end: AbortSignal) {
    this.#clock = clock;
    this.signal = AbortSignal.any([end, this.#over.signal]);
    this.renew();
  }

  renew(leaseMs = this.#leaseMs): void {
    this.#timer.abort(stopped());
    this.#timer = new AbortController();
    // A lease of nothing would end every stream at once.
    this.#leaseMs = Math.max(1_000, leaseMs);
    const silence = `nothing came for ${String(this.#leaseMs)} ms`;
    this.#clock.sleep(this.#leaseMs, this.#timer.signal).then(
      () => this.#over.abort(new MedleyError('RPC_DEADLINE', silence)),
      () => undefined,
    );
  }

  end(): void {
    this.#timer.abort(stopped());
  }
}

function stopped(): MedleyError {
  return new MedleyError('INTERRUPTED', 'the agent stops');
}

/** A call, because the compiler takes a signal that was open for one that stays open. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
