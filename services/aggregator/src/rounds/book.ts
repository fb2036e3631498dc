import { MedleyError, toHex, type Clock, type Logger } from '@medley/kit';
import type { Masker, SessionTerms } from '@medley/secagg';
import { roundTerms } from '@medley/study';
import type { Blobs } from '../blob/blobs.ts';
import type { Change, Ledger } from '../log/ledger.ts';
import type { RoundId, RoundStep } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { memberIndex, memberName, type Agreement, type Agreements } from '../studies/agreement.ts';
import { stopStudy, studyOf } from '../studies/desk.ts';
import { decodeState } from './codec.ts';
import type { Presence } from './presence.ts';
import { eventOf, rowOf } from './record.ts';
import { Troubles } from './trouble.ts';
import { awaited, decide, type RoundDecision, type RoundEvent, type RoundState } from './round.ts';
import type { Signal } from './signal.ts';

export interface RoundParts {
  readonly store: Store;
  readonly blobs: Blobs;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly agreements: Agreements;
  readonly presence: Presence;
  /** Takes the masks out of sums. Its owner closes it. */
  readonly masker: Masker;
  /** Keep the masked vectors of closed rounds, for replay; else they go when their round ends. */
  readonly keepMaskedVectors: boolean;
  /** Raised after every change that a stream or the scheduler may wait for. */
  readonly changed: Signal;
}

/** A round that is going on, as it is in memory; the store has the same. */
export interface OpenRound {
  state: RoundState;
  readonly terms: SessionTerms;
  readonly agreement: Agreement;
  /** Bytes of messages and blobs from silos and to them. */
  up: number;
  down: number;
}

/** Codes of messages that merely came at the wrong time, as after every lost connection. */
const HARMLESS: ReadonlySet<string> = new Set(['SECAGG_LATE', 'SECAGG_OUT_OF_ORDER']);

/**
 * The open rounds, at most one of a study. A decision of the state machine is stored with its log
 * leaves before the round in memory moves, and thus before anything is answered or sent.
 */
export class RoundBook {
  readonly #parts: RoundParts;
  readonly #open = new Map<string, OpenRound>();
  /** Studies that wait for this machine to be mended. */
  readonly troubles: Troubles;

  private constructor(parts: RoundParts) {
    this.#parts = parts;
    this.troubles = new Troubles(parts.clock);
  }

  /** Loads the rounds that a stopped process left open. */
  static async load(parts: RoundParts): Promise<RoundBook> {
    const book = new RoundBook(parts);
    for (const row of await parts.store.tables.rounds.open()) {
      const agreement = parts.agreements.of(await studyOf(parts.store.tables, row.study));
      const terms = termsOf(agreement, row, row.kind, row.model.hash);
      const state = decodeState(row, terms);
      const { bytesUp: up, bytesDown: down } = row;
      book.#open.set(row.study, { state, terms, agreement, up, down });
      parts.logger.info('round continues', { ...state.id, step: row.step });
    }
    return book;
  }

  /** The study's open round. */
  of(study: string): OpenRound | undefined {
    return this.#open.get(study);
  }

  /** The open round with exactly this id. */
  find(id: RoundId): OpenRound | undefined {
    const open = this.#open.get(id.study);
    return open && isSameId(open.state.id, id) ? open : undefined;
  }

  all(): OpenRound[] {
    return [...this.#open.values()];
  }

  /** Takes a round into the book; its row is part of the same change. */
  add(open: OpenRound): void {
    this.#open.set(open.state.id.study, open);
  }

  /** Adds to the byte counts of a round, open or ended. */
  async count(id: RoundId, up: number, down: number): Promise<void> {
    const open = this.find(id);
    if (open) {
      open.up += up;
      open.down += down;
    } else {
      await this.#parts.store.tables.rounds.addBytes(id, up, down);
    }
  }

  /** Applies one event, and what the streams that are gone allow after it, as part of a change. */
  async apply(change: Change, open: OpenRound, event: RoundEvent): Promise<RoundState> {
    const nowMs = this.#parts.clock.nowMs();
    const first = decide(open.terms, open.state, event, nowMs);
    if (first.state === open.state) return open.state;
    const absent = this.absent({ ...open, state: first.state });
    const second = decide(open.terms, first.state, { kind: 'tick', absent }, nowMs);
    const notes = [...first.notes, ...second.notes];
    const effects = [...first.effects, ...second.effects];
    await this.#commit(change, open, { state: second.state, notes, effects });
    return second.state;
  }

  /** The silos that the round waits for in vain, by index. */
  absent({ state, terms, agreement }: OpenRound): ReadonlySet<number> {
    const { presence } = this.#parts;
    const isAbsent = (index: number): boolean =>
      presence.isAbsent(memberName(agreement.charter, index));
    return new Set(awaited(terms, state).filter(isAbsent));
  }

  /** Records that a message was refused: once of a kind, and not when it was merely late or early. */
  async refuse(id: RoundId, silo: string, step: RoundStep, code: string): Promise<void> {
    const open = this.find(id);
    const index = open && memberIndex(open.agreement.charter, silo);
    if (!open || index === undefined || HARMLESS.has(code)) return;
    this.#parts.logger.warn('message refused', { ...id, silo, step, code });
    await this.#parts.ledger.change(async (change) => {
      if (this.find(id) === open)
        await this.apply(change, open, { kind: 'refused', silo: index, step, code });
    });
  }

  /** Takes an ended round out of the book, and its masked vectors off the disk unless they are kept. */
  end(open: OpenRound, state: RoundState): void {
    open.state = state;
    this.#open.delete(state.id.study);
    const { blobs, logger, keepMaskedVectors } = this.#parts;
    if (keepMaskedVectors && state.step === 'closed') return;
    for (const { vectorHash } of state.coordinator.headers) {
      blobs.remove(toHex(vectorHash)).catch((caught: unknown) => {
        logger.warn('masked vector not removed', { detail: MedleyError.from(caught).message });
      });
    }
  }

  async #commit(change: Change, open: OpenRound, decision: RoundDecision): Promise<void> {
    const { clock, changed, logger } = this.#parts;
    const { state, notes, effects } = decision;
    const { charter } = open.agreement;
    await change.tables.rounds.put(rowOf(state, open, clock.nowMs()));
    for (const note of notes) await change.record(eventOf(note, state, charter));
    if (state.step === 'aborted')
      await this.#stopIfSpent(change, state, charter.secureAggregation.maxAttempts);
    change.onCommit(() => {
      open.state = state;
      if (effects.includes('ended')) {
        logger.warn('round aborted', { ...state.id, code: state.abortCode ?? '' });
        this.end(open, state);
      }
      if (effects.length > 0) changed.raise();
    });
  }

  async #stopIfSpent(change: Change, state: RoundState, maxAttempts: number): Promise<void> {
    const { study, round, attempt } = state.id;
    const row = await studyOf(change.tables, study);
    if (attempt < maxAttempts || row.state !== 'active') return;
    await stopStudy(change, row, {
      state: 'withdrawn',
      reason: `ROUND_ATTEMPTS_SPENT: round ${round} failed ${attempt} times, last ${state.abortCode ?? ''}`,
      actor: { kind: 'aggregator', id: 'aggregator' },
      nowMs: this.#parts.clock.nowMs(),
    });
  }
}

/** Terms of an attempt. Throws as `roundTerms` does. */
export function termsOf(
  agreement: Agreement,
  { round, attempt }: RoundId,
  kind: RoundState['kind'],
  modelHash: string,
): SessionTerms {
  return roundTerms({ ...agreement, kind, round, attempt, modelHash });
}

function isSameId(a: RoundId, b: RoundId): boolean {
  return a.study === b.study && a.round === b.round && a.attempt === b.attempt;
}
