import { MedleyError, toHex, type Clock, type Logger } from '@medley/kit';
import type { Masker, SessionTerms } from '@medley/secagg';
import { roundTerms } from '@medley/study';
import type { Blobs } from '../blob/blobs.ts';
import type { Change, Ledger } from '../log/ledger.ts';
import type { RoundId, RoundStep } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { memberIndex, memberName, type Agreement, type Agreements } from '../studies/agreement.ts';
import { stopStudy, studyOf } from '../studies/desk.ts';
import { exclude } from '../studies/exclusion.ts';
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
  /** How long the first message of a step waits for others, in milliseconds, to be written with them. */
  readonly gatherMs: number;
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

/** How long bytes of ended rounds wait to be written together. */
const FLUSH_MS = 100;

/** Codes of messages that merely came at the wrong time, as after every lost connection. */
const HARMLESS: ReadonlySet<string> = new Set(['SECAGG_LATE', 'SECAGG_OUT_OF_ORDER']);

/**
 * The open rounds, at most one of a study. A decision of the state machine is stored with its log
 * leaves before the round in memory moves, and thus before anything is answered or sent.
 */
export class RoundBook {
  readonly #parts: RoundParts;
  readonly #open = new Map<string, OpenRound>();
  readonly #late = new Map<string, { readonly id: RoundId; up: number; down: number }>();
  readonly #closing = new AbortController();
  #flushing: Promise<void> | undefined;
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

  /** Adds to the byte counts of a round; those of an ended one are written a moment later. */
  count(id: RoundId, up: number, down: number): void {
    const open = this.find(id);
    if (open) {
      open.up += up;
      open.down += down;
      return;
    }
    const key = `${id.study} ${String(id.round)} ${String(id.attempt)}`;
    const { up: before = 0, down: sent = 0 } = this.#late.get(key) ?? {};
    this.#late.set(key, { id, up: before + up, down: sent + down });
    this.#flushing ??= this.#flush();
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#flushing;
  }

  /** Every silo fetches the same sum at about the same time: one write is enough. */
  async #flush(): Promise<void> {
    const { clock, store, logger } = this.#parts;
    await clock.sleep(FLUSH_MS, this.#closing.signal).catch(() => undefined);
    this.#flushing = undefined;
    const waiting = [...this.#late.values()];
    this.#late.clear();
    for (const { id, up, down } of waiting) {
      await store.tables.rounds.addBytes(id, up, down).catch((caught: unknown) => {
        logger.warn('bytes not counted', { ...id, detail: MedleyError.from(caught).message });
      });
    }
  }

  /** Applies one event, and what the streams that are gone allow after it, as part of a change. */
  async apply(change: Change, open: OpenRound, event: RoundEvent): Promise<RoundState> {
    const decision = this.#decide(open, open.state, event);
    if (decision.state !== open.state) await this.#commit(change, open, decision);
    return decision.state;
  }

  /**
   * Applies events in their order as part of one change: one write for all of them. An event that is
   * refused has its error in its place and changes nothing.
   */
  async applyAll(
    change: Change,
    open: OpenRound,
    events: readonly (() => RoundEvent)[],
  ): Promise<PromiseSettledResult<{ readonly before: RoundState; readonly after: RoundState }>[]> {
    let { state } = open;
    const notes: RoundDecision['notes'][number][] = [];
    const effects: RoundDecision['effects'][number][] = [];
    const results = events.map((event) => {
      const before = state;
      try {
        const decision = this.#decide(open, state, event());
        notes.push(...decision.notes);
        effects.push(...decision.effects);
        state = decision.state;
        return { status: 'fulfilled', value: { before, after: state } } as const;
      } catch (reason) {
        return { status: 'rejected', reason } as const;
      }
    });
    if (state !== open.state) await this.#commit(change, open, { state, notes, effects });
    return results;
  }

  #decide(open: OpenRound, state: RoundState, event: RoundEvent): RoundDecision {
    const nowMs = this.#parts.clock.nowMs();
    const first = decide(open.terms, state, event, nowMs);
    if (first.state === state) return first;
    const absent = this.absent({ ...open, state: first.state });
    const second = decide(open.terms, first.state, { kind: 'tick', absent }, nowMs);
    const notes = [...first.notes, ...second.notes];
    const effects = [...first.effects, ...second.effects];
    return { state: second.state, notes, effects };
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
    for (const note of notes) {
      await change.record(eventOf(note, state, charter));
      await exclude(change, charter, state.id, note, clock.nowMs());
    }
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
