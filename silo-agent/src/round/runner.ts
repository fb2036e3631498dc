import { EXIT, MedleyError, type ErrorCode, type Logger } from '@medley/kit';
import { Backoff } from '../backoff.ts';
import { closeRound } from './close.ts';
import { isPassing } from './messages.ts';
import { admitClosed, admitStep, termsOf } from './rules.ts';
import { openSeat, type RoundParts, type Seat } from './seat.ts';
import { takeStep } from './step.ts';
import { compareTasks, type Task } from './task.ts';

/** Refusals that only say that this silo was too slow, or had left before: nobody needs to hear more. */
const TOO_LATE: readonly ErrorCode[] = [
  ...(['SECAGG_LATE', 'SECAGG_OUT_OF_ORDER', 'ROUND_UNKNOWN', 'ROUND_WITHDRAWN'] as const),
  ...(['ROUND_GIVEN_UP', 'STUDY_LEFT', 'INTERRUPTED'] as const),
];

/** Pauses between tries of one message while the way to the aggregator is broken. */
const RESEND = { firstMs: 250, maxMs: 10_000 };

/** Faults of this site's own disk, which somebody is expected to mend. */
const DISK_FAULTS: readonly ErrorCode[] = ['FILE_UNWRITABLE', 'FILE_UNREADABLE'];

/** How long a withdrawal is tried; the round goes on without it anyway. */
const WITHDRAW_MS = 10_000;

interface Running {
  readonly task: Task;
  readonly cancel: AbortController;
}

/**
 * Takes part in one study: one task at a time, in the order in which they came. A later task of the
 * study ends work on an earlier one, except that closed rounds are always checked. What goes wrong
 * stays in this study: it is logged under its code and told to the aggregator by Withdraw.
 */
export class StudyRunner {
  readonly #parts: RoundParts;
  readonly #study: string;
  readonly #log: Logger;
  #seat: Seat | undefined;
  #running: Running | undefined;
  #waiting: Task[] = [];
  #pump: Promise<void> = Promise.resolve();
  /** Set when the aggregator was caught contradicting itself: nothing more is done for the study. */
  #halt: MedleyError | undefined;
  #isOpen = false;
  #isDraining = false;
  #isClosed = false;

  constructor(parts: RoundParts, study: string) {
    this.#parts = parts;
    this.#study = study;
    this.#log = parts.logger.with({ study });
  }

  /** True while this silo is between the first and the last message of an attempt. */
  get isBusy(): boolean {
    return this.#isOpen || this.#running !== undefined || this.#waiting.length > 0;
  }

  /** Takes note of a task; repeats of the task at work are ignored. */
  offer(task: Task): void {
    const running = this.#running;
    if (this.#isClosed || (running && compareTasks(task, running.task) === 0)) return;
    // Of several tasks that wait only the newest step counts; proofs of rounds are all kept.
    const isKept = (other: Task): boolean =>
      other.step.name === 'closed' && compareTasks(other, task) !== 0;
    this.#waiting = [...this.#waiting.filter(isKept), task];
    if (running && running.task.step.name !== 'closed' && compareTasks(task, running.task) > 0) {
      running.cancel.abort(new MedleyError('INTERRUPTED', 'the round went on'));
    }
    this.#pump = this.#pump.then(() => this.#next());
  }

  /** Resolves when every task taken so far has been dealt with. */
  async settled(): Promise<void> {
    await this.#pump;
  }

  /** Begins no new attempt from now on. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Stops at once; what is on disk lets a later run go on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting = [];
    this.#running?.cancel.abort(new MedleyError('INTERRUPTED', 'the agent stops'));
    await this.#pump;
  }

  async #next(): Promise<void> {
    const task = this.#waiting.shift();
    if (!task) return;
    const cancel = new AbortController();
    this.#running = { task, cancel };
    try {
      await this.#takePatiently(task, cancel.signal);
    } catch (caught) {
      if (!cancel.signal.aborted) await this.#refuse(task, MedleyError.from(caught), cancel.signal);
    } finally {
      this.#running = undefined;
    }
  }

  /**
   * From the confirmation on, the others count on this silo's word, and a round that fails after the
   * first release cannot be repeated: a disk that is full or away is waited for.
   */
  async #takePatiently(task: Task, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(RESEND, this.#parts.clock, this.#parts.rng);
    for (;;) {
      try {
        await this.#take(task, signal);
        return;
      } catch (caught) {
        const { code, message } = MedleyError.from(caught);
        const isLate = task.step.name === 'confirm' || task.step.name === 'release';
        if (!DISK_FAULTS.includes(code) || !isLate || signal.aborted) throw caught;
        this.#log.warn('disk waited for', { ...fieldsOf(task), code, detail: message });
        await backoff.pause(signal);
      }
    }
  }

  async #take(task: Task, signal: AbortSignal): Promise<void> {
    const { step } = task;
    if (this.#halt) throw this.#halt;
    const parts = this.#parts;
    await parts.witness.check();
    const deliver = this.#deliver(signal);
    const seat = (this.#seat ??= await deliver(() => openSeat(parts, this.#study, signal)));
    await seat.folder.checkPresent();
    const terms = termsOf(seat.pinned, task);
    const progress = await seat.progress.load();
    const context = { parts, seat, task, terms, progress, signal, deliver };
    if (step.name === 'closed') {
      if (admitClosed(task, progress) === 'new') await closeRound({ ...context, closed: step });
      this.#isOpen = false;
      return;
    }
    if (step.name === 'aborted') {
      await this.#end(task, seat, step.reasonCode);
      this.#log.info('attempt aborted', { ...fieldsOf(task), code: step.reasonCode });
      return;
    }
    if (admitStep(task, progress, await seat.sessions.list()) === 'stale') return;
    const state = await seat.sessions.load(terms);
    if (state === 'ended') throw new MedleyError('ROUND_GIVEN_UP', 'before this task');
    if (state === undefined && this.#isDraining) return;
    await takeStep({ ...context, state });
    this.#isOpen = step.name !== 'release';
    this.#log.info('step taken', fieldsOf(task));
  }

  /** Ends the attempt for this silo, so that it is never taken up again. */
  async #end(task: Task, seat: Seat, code: string): Promise<void> {
    this.#isOpen = false;
    const sessions = await seat.sessions.list();
    const { round, attempt } = task.id;
    const isMine = sessions.some((one) => one.round === round && one.attempt === attempt);
    if (isMine) await seat.sessions.end(task.id, task.model.hex, code);
  }

  async #refuse(task: Task, error: MedleyError, signal: AbortSignal): Promise<void> {
    this.#isOpen = false;
    const fields = { ...fieldsOf(task), code: error.code, detail: error.message };
    if (TOO_LATE.includes(error.code)) {
      this.#log.info('not taken part', fields);
      return;
    }
    this.#log.warn('refused', fields);
    // A lying aggregator ends the study here; a broken transfer of the proof does not.
    const isLie = error.entry.exit === EXIT.integrity && !error.code.startsWith('RPC_');
    if (task.step.name === 'closed' && isLie) this.#halt = error;
    if (task.step.name === 'closed' || task.step.name === 'aborted') return;
    await this.#leave(task, error.code, signal);
  }

  async #leave(task: Task, code: ErrorCode, signal: AbortSignal): Promise<void> {
    try {
      if (this.#seat) await this.#end(task, this.#seat, code);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(WITHDRAW_MS)]);
      await this.#deliver(limit)(() => this.#parts.messages.withdraw(task.id, code, limit));
    } catch (caught) {
      const { code: why, message } = MedleyError.from(caught);
      this.#log.debug('withdrawal not delivered', {
        ...fieldsOf(task),
        code: why,
        detail: message,
      });
    }
  }

  #deliver(signal: AbortSignal): <T>(call: () => Promise<T>) => Promise<T> {
    return async (call) => {
      const backoff = new Backoff(RESEND, this.#parts.clock, this.#parts.rng);
      for (;;) {
        signal.throwIfAborted();
        // Another process of this home may have written the steward's withdrawal meanwhile.
        await this.#seat?.folder.checkPresent();
        try {
          return await call();
        } catch (caught) {
          if (!isPassing(caught) || signal.aborted) throw caught;
          const { code } = caught;
          this.#log.debug('call will be made again', { code });
          await backoff.pause(signal);
        }
      }
    };
  }
}

function fieldsOf({ id, step }: Task): {
  readonly round: number;
  readonly attempt: number;
  readonly step: string;
} {
  return { round: id.round, attempt: id.attempt, step: step.name };
}
