import type { RoundRow, StudyRow } from '../store/rows.ts';
import { memberIndex } from '../studies/agreement.ts';
import { absentees } from '../studies/exclusion.ts';
import type { RoundBook, RoundParts } from './book.ts';
import { abortedTask, closedTask, openTask, sessionOf, type Task } from './task.ts';

/** A study as its silos are told of it. */
export interface Notice {
  readonly study: string;
  readonly state: StudyRow['state'];
  readonly charterHash: string;
}

/** All that a silo needs to know now; each entry's key changes when its content does. */
export type Entry =
  { readonly key: string; readonly notice: Notice } | { readonly key: string; readonly task: Task };

/** Gathers what the streams of silos carry. */
export class Tasks {
  readonly #parts: Pick<RoundParts, 'store' | 'ledger' | 'agreements'>;
  readonly #book: RoundBook;
  readonly #sessions = new WeakMap<RoundRow, Uint8Array>();

  constructor(parts: Pick<RoundParts, 'store' | 'ledger' | 'agreements'>, book: RoundBook) {
    this.#parts = parts;
    this.#book = book;
  }

  /**
   * Everything for one silo, in the order in which it must learn of it: of each study its state, the
   * newest closed round, then the newest attempt. A round may open right after another closed; so the
   * closed one is always told first.
   */
  async of(silo: string): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const row of await this.#parts.store.tables.studies.list()) {
      const { charter } = this.#parts.agreements.of(row);
      const index = memberIndex(charter, silo);
      if (index === undefined) continue;
      const { name: study, state, charterHash } = row;
      entries.push({ key: `${study} ${state}`, notice: { study, state, charterHash } });
      // A silo that left or was excluded is told how the study goes on, and asked for nothing.
      if (state === 'proposed') continue;
      if ((await absentees(this.#parts.store.tables, study)).has(silo)) continue;
      for (const task of await this.#tasksOf(row, index)) {
        const { round, attempt } = task.id;
        entries.push({ key: `${study} ${round} ${attempt} ${task.step.step}`, task });
      }
    }
    return entries;
  }

  async #tasksOf(row: StudyRow, index: number): Promise<Task[]> {
    const { rounds } = this.#parts.store.tables;
    const open = this.#book.of(row.name);
    const closed = await this.#closedTask(row, await rounds.newestClosed(row.name));
    const newest = open ? openTask(open, row.charterHash, index) : await this.#abortedTask(row);
    return [closed, newest].filter((task) => task !== undefined);
  }

  async #closedTask(row: StudyRow, newest: RoundRow | undefined): Promise<Task | undefined> {
    if (!newest?.outcome) return undefined;
    // No proof yet: the checkpoint over the leaf is being signed and will wake the streams.
    const proof = await this.#parts.ledger.prove(newest.outcome.leafIndex);
    return proof && closedTask(newest, row.charterHash, this.#sessionOf(row, newest), proof);
  }

  async #abortedTask(row: StudyRow): Promise<Task | undefined> {
    const newest = await this.#parts.store.tables.rounds.newest(row.name);
    if (newest?.step !== 'aborted') return undefined;
    const { maxAttempts } = this.#parts.agreements.of(row).charter.secureAggregation;
    return abortedTask(newest, row.charterHash, this.#sessionOf(row, newest), maxAttempts);
  }

  /** Every silo's stream asks for the same newest round. */
  #sessionOf(row: StudyRow, round: RoundRow): Uint8Array {
    const known = this.#sessions.get(round);
    if (known) return known;
    const sid = sessionOf(round, this.#parts.agreements.of(row));
    this.#sessions.set(round, sid);
    return sid;
  }
}
