import { MedleyError, timestamp, toHex, type ErrorCode } from '@medley/kit';
import { brokenSharers } from '@medley/secagg';
import type { StudyRow } from '../store/rows.ts';
import { memberName, type Agreement } from '../studies/agreement.ts';
import { stopStudy, studyOf } from '../studies/desk.ts';
import { absentees } from '../studies/exclusion.ts';
import { termsOf, type OpenRound, type RoundBook, type RoundParts } from './book.ts';
import { endRound, recordClosing, type Opening } from './closing.ts';
import { nextAttempt, readiness } from './opening.ts';
import { rowOf } from './record.ts';
import { awaited, decide, openRound, type RoundState } from './round.ts';
import type { Charter } from '@medley/study';

/** Faults of this machine that somebody can mend; a sum that met one is opened again. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['FILE_UNREADABLE', 'FILE_UNWRITABLE', 'STORE_UNUSABLE'] as const),
  ...(['BLOB_DAMAGED', 'BLOB_UNKNOWN'] as const),
]);

/** Longest time that the scheduler waits for an expiry: an hour. */
const LONGEST_WAIT_MS = 3_600_000;

/** What moves rounds without a message: time, streams that come and go, and the sums' opening. */
export class Progress {
  readonly #parts: RoundParts;
  readonly #book: RoundBook;
  readonly #unmasking = new Map<string, Promise<void>>();

  constructor(parts: RoundParts, book: RoundBook) {
    this.#parts = parts;
    this.#book = book;
  }

  /** Moves everything that may move now. */
  async tick(): Promise<void> {
    const { store, agreements } = this.#parts;
    const { troubles } = this.#book;
    const rows = await store.tables.studies.list();
    const active = rows.filter(({ state }) => state === 'active');
    for (const open of this.#book.all()) {
      const isStopped = !active.some(({ name }) => name === open.state.id.study);
      await this.#move(open, isStopped);
      if (open.state.step === 'unmask' && !troubles.isPaused(open.state.id.study))
        this.#unmask(open);
    }
    for (const row of rows) {
      const isIdle = row.state === 'proposed' || row.pausedMs !== undefined;
      if (isIdle && !this.#book.of(row.name)) await this.#expire(row);
    }
    for (const row of active) {
      if (this.#book.of(row.name) || troubles.isPaused(row.name)) continue;
      if (row.pausedMs !== undefined) continue;
      // One study's trouble is no other's.
      await this.#openNext(row, agreements.of(row)).then(
        () => troubles.end(row.name),
        (caught: unknown) => this.#postpone(row.name, caught),
      );
    }
  }

  /** When {@link Progress.tick} has something to do if nothing else happens. */
  async nextDueMs(): Promise<number | undefined> {
    const { clock, presence, store } = this.#parts;
    const nowMs = clock.nowMs();
    const due: number[] = [];
    for (const { state, terms, agreement } of this.#book.all()) {
      if (state.deadlineMs > 0) due.push(state.deadlineMs);
      if (state.step === 'unmask' && !this.#unmasking.has(state.id.study))
        due.push(this.#book.troubles.of(state.id.study)?.retryAtMs ?? 0);
      for (const index of awaited(terms, state)) {
        const fromMs = presence.absentFromMs(memberName(agreement.charter, index));
        if (fromMs !== undefined && fromMs > nowMs) due.push(fromMs);
      }
    }
    for (const row of await store.tables.studies.list()) {
      const dueMs = this.#book.of(row.name) ? undefined : await this.#dueOf(row, nowMs);
      if (dueMs !== undefined) due.push(dueMs);
    }
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** When a study without an open round has something to do by itself. */
  async #dueOf(row: StudyRow, nowMs: number): Promise<number | undefined> {
    const { presence, store, agreements } = this.#parts;
    const agreement = agreements.of(row);
    if (row.state === 'proposed' || (row.state === 'active' && row.pausedMs !== undefined)) {
      // Capped: a timer holds no year.
      return Math.min(Date.parse(agreement.charter.expires) + 1, nowMs + LONGEST_WAIT_MS);
    }
    if (row.state !== 'active') return undefined;
    const trouble = this.#book.troubles.of(row.name);
    if (trouble) return trouble.retryAtMs;
    const next = nextAttempt(agreement, await store.tables.rounds.newest(row.name));
    if (!next) return undefined;
    const there = withoutLeft(presence, await absentees(store.tables, row.name));
    const ready = readiness(agreement, there, nowMs, row.startedMs);
    if (ready.state === 'ready') return next.notBeforeMs;
    return ready.untilMs === undefined ? undefined : Math.max(ready.untilMs, next.notBeforeMs);
  }

  /** Resolves when no sum is being opened. */
  async idle(): Promise<void> {
    await Promise.all(this.#unmasking.values());
  }

  async #move(open: OpenRound, isStopped: boolean): Promise<void> {
    const { clock, ledger } = this.#parts;
    const event = isStopped
      ? ({ kind: 'failed', code: 'STUDY_STATE' } as const)
      : ({ kind: 'tick', absent: this.#book.absent(open) } as const);
    // Most ticks change nothing and need no transaction.
    if (decide(open.terms, open.state, event, clock.nowMs()).state === open.state) return;
    await ledger.change(async (change) => {
      if (this.#book.find(open.state.id) === open) await this.#book.apply(change, open, event);
    });
  }

  #unmask(open: OpenRound): void {
    const { study } = open.state.id;
    if (this.#unmasking.has(study)) return;
    const { changed } = this.#parts;
    const work = this.#close(open)
      .then(
        () => this.#book.troubles.end(study),
        (caught: unknown) => this.#postpone(study, caught),
      )
      .finally(() => {
        this.#unmasking.delete(study);
        changed.raise();
      });
    this.#unmasking.set(study, work);
  }

  #postpone(study: string, caught: unknown): void {
    const trouble = this.#book.troubles.note(study, caught);
    if (!trouble) return;
    const { code, detail } = trouble;
    this.#parts.logger.error('study waits for this machine', { study, code, detail });
    this.#parts.changed.raise();
  }

  async #close(open: OpenRound): Promise<void> {
    const { ledger, logger } = this.#parts;
    const { state, terms, agreement } = open;
    let opening: Opening;
    try {
      opening = await endRound(state, terms, agreement, this.#parts);
    } catch (caught) {
      const { code, message } = MedleyError.from(caught);
      if (MENDABLE.has(code)) throw caught;
      logger.error('sum not opened', { ...state.id, code, detail: message });
      const broken = code === 'SECAGG_UNMASK_FAILED' ? brokenSharers(terms, state.coordinator) : [];
      await ledger.change(async (change) => {
        if (this.#book.find(state.id) === open)
          await this.#book.apply(change, open, { kind: 'failed', code, broken });
      });
      return;
    }
    if (opening.gate !== undefined)
      logger.warn('round moves nothing', { ...state.id, detail: opening.gate });
    await this.#record(open, opening);
  }

  /** Closes the round as it was opened, in one transaction, and signs a checkpoint over it. */
  async #record(open: OpenRound, opening: Opening): Promise<void> {
    const { ledger, clock, logger, keepMaskedVectors: keepMessages } = this.#parts;
    const { state, terms, agreement } = open;
    await ledger.change(async (change) => {
      if (this.#book.find(state.id) !== open) return;
      const nowMs = clock.nowMs();
      const closed = decide(terms, open.state, { kind: 'opened' }, nowMs).state;
      const outcome = await recordClosing(change, closed, agreement, opening, nowMs);
      await change.tables.rounds.put(rowOf(closed, open, nowMs, { outcome, keepMessages }));
      change.onCommit(() => this.#book.end(open, closed));
    });
    logger.info('round closed', { ...state.id, ms: clock.nowMs() - state.openedMs });
    await ledger.checkpoint();
  }

  /** Ends a study whose charter has expired. */
  async #expire(row: StudyRow): Promise<boolean> {
    const { ledger, clock, agreements, changed } = this.#parts;
    const nowMs = clock.nowMs();
    const isOver = row.state === 'proposed' || row.state === 'active';
    if (!isOver || nowMs <= Date.parse(agreements.of(row).charter.expires)) return false;
    const actor = { kind: 'aggregator', id: 'aggregator' } as const;
    const end = { state: 'expired', reason: 'the charter expired', actor, nowMs } as const;
    await ledger.change(async (change) => {
      const present = await studyOf(change.tables, row.name);
      if (present.state === row.state) await stopStudy(change, present, end);
    });
    changed.raise();
    return true;
  }

  async #openNext(row: StudyRow, agreement: Agreement): Promise<void> {
    const { store, blobs, ledger, clock, presence, logger, changed } = this.#parts;
    const { charter } = agreement;
    const nowMs = clock.nowMs();
    if (await this.#expire(row)) return;
    const left = await absentees(store.tables, row.name);
    const next = nextAttempt(agreement, await store.tables.rounds.newest(row.name));
    if (!next || nowMs < next.notBeforeMs) return;
    const there = withoutLeft(presence, left);
    if (readiness(agreement, there, nowMs, row.startedMs).state !== 'ready') return;
    // Every silo would refuse another model than the one the last round ended with.
    await blobs.verify(row.modelState.hash);
    const { id, kind } = next;
    const terms = termsOf(agreement, id, kind, row.modelState.hash);
    const { stepSeconds, trainingSeconds } = charter.rounds;
    const pace = { stepMs: stepSeconds * 1000, trainingMs: trainingSeconds * 1000 };
    const fresh = openRound({ id, kind, model: row.modelState, pace }, terms, nowMs);
    const state = leftBefore(fresh, charter, left);
    const open: OpenRound = { state, terms, agreement, up: 0, down: 0 };
    await ledger.change(async ({ tables, record, onCommit }) => {
      const present = await tables.studies.get(row.name);
      if (present?.state !== 'active' || present.pausedMs !== undefined) return;
      if ((await absentees(tables, row.name)).size !== left.size) return;
      await tables.rounds.put(rowOf(state, open, nowMs));
      await record({
        type: 'round.opened',
        actor: { kind: 'aggregator', id: 'aggregator' },
        outcome: 'ok',
        ...id,
        data: {
          kind,
          sid: toHex(state.coordinator.sid),
          modelHash: state.model.hash,
          deadline: timestamp(state.deadlineMs),
        },
      });
      onCommit(() => this.#book.add(open));
    });
    logger.info('round opened', { ...id, step: kind });
    changed.raise();
  }
}

/** Presence in which silos that take no further part in a study were never there. */
function withoutLeft(
  presence: RoundParts['presence'],
  left: ReadonlyMap<string, string>,
): Pick<RoundParts['presence'], 'absentFromMs'> {
  return {
    absentFromMs: (silo, sinceMs) => (left.has(silo) ? 0 : presence.absentFromMs(silo, sinceMs)),
  };
}

/** The round with the silos that left or were excluded withdrawn from the start: nobody waits for them. */
function leftBefore(
  state: RoundState,
  charter: Charter,
  left: ReadonlyMap<string, string>,
): RoundState {
  const withdrawn = charter.roster.flatMap(({ silo, index }) => {
    const code = left.get(silo);
    return code === undefined ? [] : [{ silo: index, code }];
  });
  return { ...state, withdrawn: [...state.withdrawn, ...withdrawn] };
}
