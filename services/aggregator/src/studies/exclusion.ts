import type { Charter } from '@medley/study';
import type { Change } from '../log/ledger.ts';
import type { RoundNote } from '../rounds/round.ts';
import type { RoundId } from '../store/rows.ts';
import type { Tables } from '../store/store.ts';
import { memberName } from './agreement.ts';
import { stopStudy, studyOf } from './desk.ts';

/**
 * Takes a silo that is convicted of breaking the protocol out of the rest of a study, and ends the study
 * when fewer remain than its charter asks for. Repeated it changes nothing.
 */
export async function exclude(
  change: Change,
  charter: Charter,
  id: RoundId,
  note: RoundNote,
  nowMs: number,
): Promise<void> {
  if (note.kind !== 'blamed' || note.isExcluded !== true) return;
  const { tables } = change;
  const { study, round, attempt } = id;
  const { code } = note;
  const silo = memberName(charter, note.silo);
  const before = await tables.exclusions.of(study);
  if (before.some((one) => one.silo === silo)) return;
  await tables.exclusions.put({ study, silo, round, attempt, code, atMs: nowMs });
  const remaining = charter.roster.length - (await absentees(tables, study)).size;
  const needed = fewest(charter);
  const row = await studyOf(tables, study);
  if (remaining >= needed || row.state !== 'active') return;
  const reason = `${code}: ${String(remaining)} hospitals remain, ${String(needed)} are needed`;
  const actor = { kind: 'aggregator', id: 'aggregator' } as const;
  await stopStudy(change, row, { state: 'withdrawn', reason, actor, nowMs });
}

/** Names of the silos that take no further part in a study, with the code of why. */
export async function absentees(
  tables: Tables,
  study: string,
): Promise<ReadonlyMap<string, string>> {
  const excluded = await tables.exclusions.of(study);
  const left = await tables.withdrawals.of(study);
  return new Map([
    ...excluded.map(({ silo, code }) => [silo, code] as const),
    ...left.map(({ silo }) => [silo, 'STUDY_LEFT'] as const),
  ]);
}

/** Silos without which a charter's rounds cannot be. */
export function fewest({ secureAggregation }: Charter): number {
  return Math.max(secureAggregation.threshold, secureAggregation.minSurvivors);
}
