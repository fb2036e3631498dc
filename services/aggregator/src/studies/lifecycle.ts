import { equalBytes, MedleyError, toBase64 } from '@medley/kit';
import type { RoundBook } from '../rounds/book.ts';
import type { StudyRow } from '../store/rows.ts';
import { memberIndex } from './agreement.ts';
import { absentees, fewest } from './exclusion.ts';
import {
  checkedDecision,
  stopStudy,
  studyOf,
  type SignedStatement,
  type StudyParts,
} from './desk.ts';

export interface LifecycleParts extends StudyParts {
  readonly book: RoundBook;
}

/**
 * What happens to a study after its start besides its rounds:
 *
 *     active ⇄ paused        an operator; an open round runs to its end
 *     active, paused → withdrawn   an operator stops it, or too few hospitals are left
 *     a silo leaves                for good, in the middle of a round too
 *
 * Expiry and completion are the scheduler's.
 */
export class Lifecycle {
  readonly #parts: LifecycleParts;

  constructor(parts: LifecycleParts) {
    this.#parts = parts;
  }

  /** Opens no further round. Repeated it changes nothing. Throws STUDY_UNKNOWN, STUDY_STATE. */
  async pause(name: string, reason: string, operator: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    await ledger.change(async ({ tables, record }) => {
      const row = activeOf(await studyOf(tables, name));
      if (row.pausedMs !== undefined) return;
      await tables.studies.put({ ...row, pausedMs: clock.nowMs() });
      await record({
        type: 'study.paused',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        study: name,
        data: { reason: worded(reason) },
      });
    });
  }

  /** Lets rounds open again. Repeated it changes nothing. Throws STUDY_UNKNOWN, STUDY_STATE. */
  async resume(name: string, operator: string): Promise<void> {
    await this.#parts.ledger.change(async ({ tables, record }) => {
      const row = activeOf(await studyOf(tables, name));
      if (row.pausedMs === undefined) return;
      await tables.studies.put({ ...row, pausedMs: undefined });
      await record({
        type: 'study.resumed',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        study: name,
        data: { charterHash: row.charterHash },
      });
    });
  }

  /** Ends a study for good. Throws STUDY_UNKNOWN, STUDY_STATE. */
  async stop(name: string, reason: string, operator: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    await ledger.change(async (change) => {
      const row = await studyOf(change.tables, name);
      if (row.state !== 'proposed' && row.state !== 'active') throw stateOf(row);
      const actor = { kind: 'operator', id: operator } as const;
      await stopStudy(change, row, { state: 'withdrawn', reason, actor, nowMs: clock.nowMs() });
    });
  }

  /**
   * Takes a silo out of a study that has started, for good. Once this is durable none of its messages
   * is taken: it leaves the open round as a drop-out, later rounds open without it, and the study ends
   * when fewer remain than its charter asks for. The same withdrawal again changes nothing.
   *
   * Throws STUDY_UNKNOWN, ROUND_OUTSIDER, STUDY_STATE before the start and after the end,
   * DECISION_INVALID, STUDY_DECISION_INVALID, STUDY_LEFT for another withdrawal.
   */
  async leave(name: string, silo: string, signed: SignedStatement): Promise<void> {
    const { ledger, clock, agreements, book } = this.#parts;
    await ledger.change(async (change) => {
      const { tables, record } = change;
      const row = await studyOf(tables, name);
      const { charter } = agreements.of(row);
      const index = memberIndex(charter, silo);
      if (index === undefined) throw new MedleyError('ROUND_OUTSIDER', `${silo} is not in ${name}`);
      checkedDecision(charter, silo, 'withdraw', signed);
      const earlier = (await tables.withdrawals.of(name)).find((one) => one.silo === silo);
      if (earlier && equalBytes(earlier.signature, signed.signature)) return;
      if (earlier) throw new MedleyError('STUDY_LEFT', `${silo} left ${name} before`);
      activeOf(row);
      const { statement, signature } = signed;
      const nowMs = clock.nowMs();
      await tables.withdrawals.put({ study: name, silo, statement, signature, atMs: nowMs });
      await record({
        type: 'charter.withdrawn',
        actor: { kind: 'silo', id: silo },
        outcome: 'ok',
        study: name,
        data: {
          charterHash: row.charterHash,
          silo,
          statement: toBase64(statement),
          signature: toBase64(signature),
        },
      });
      const open = book.of(name);
      if (open)
        await book.apply(change, open, { kind: 'withdraw', silo: index, code: 'STUDY_LEFT' });
      const remaining = charter.roster.length - (await absentees(tables, name)).size;
      // The row anew: an attempt that this ended may have been the last one.
      const after = await studyOf(tables, name);
      if (remaining >= fewest(charter) || after.state !== 'active') return;
      const actor = { kind: 'aggregator', id: 'aggregator' } as const;
      const reason = `STUDY_LEFT: ${String(remaining)} hospitals remain, ${String(fewest(charter))} are needed`;
      await stopStudy(change, after, { state: 'withdrawn', reason, actor, nowMs });
    });
  }
}

function activeOf(row: StudyRow): StudyRow {
  if (row.state !== 'active') throw stateOf(row);
  return row;
}

function stateOf({ name, state }: StudyRow): MedleyError {
  return new MedleyError('STUDY_STATE', `study ${name} is ${state}`);
}

function worded(reason: string): string {
  return reason.trim() === '' ? 'no reason given' : reason.slice(0, 1000);
}
