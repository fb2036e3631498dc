import { canonicalBytes, concatBytes, equalBytes, fromHex, utf8 } from '@medley/kit';
import { signStatement } from '@medley/pki';
import { spent, type LedgerEntry, type Release } from '@medley/privacy';
import { vectorBytes, vectorFromBytes } from '@medley/secagg';
import { SPEND_DOMAIN, spendStatement, type SpendBytes } from '@medley/study';
import type { StepContext } from './step.ts';

/** What a round costs by the charter. */
export type Price = Pick<Release, 'mechanism' | 'curve' | 'unit' | 'adjacency'>;

/**
 * Pays for a round in this hospital's ledger, once for all its attempts: they send the same noised
 * numbers. When it returns the entry is on disk. Throws PRIVACY_BUDGET_EXCEEDED and what
 * `BudgetLedger.debit` throws; then nothing may be made or sent.
 */
export async function payRound(context: StepContext, price: Price): Promise<SpendBytes> {
  const { parts, seat, task } = context;
  const { charter, charterHash, study } = seat.pinned;
  const { round } = task.id;
  // Another charter or starting model is another release, with noise of its own.
  const place = `round ${String(round)} from ${task.model.hex.slice(0, 16)}`;
  const releaseId = `${study.name} ${charterHash.slice(0, 16)} ${place}`;
  const { privacy } = charter;
  const entry = await parts.ledger.debit({
    ...price,
    ...{ releaseId, study: study.name, round },
    // One part in a million, as for charters: logarithms differ in their last bits.
    ...(privacy && {
      charterLimit: { epsilon: privacy.epsilon * (1 + 1e-6), delta: privacy.delta },
    }),
  });
  return stateSpend(context, entry);
}

async function stateSpend(context: StepContext, entry: LedgerEntry): Promise<SpendBytes> {
  const { parts, seat, task } = context;
  const { charter, study } = seat.pinned;
  const entries = await parts.ledger.entries();
  // Up to this entry, so that an attempt that is repeated states the same bytes.
  const own = entries.filter((one) => one.study === study.name && one.sequence <= entry.sequence);
  const { epsilon } = spent(own, charter.privacy?.delta ?? parts.ledger.limit.delta);
  const { silo } = parts.site;
  const { kind } = task;
  const { round } = task.id;
  const statement = spendStatement({ charter, silo, round, kind, epsilon, entry: entry.hash });
  const document = { ...statement, mechanism: { ...statement.mechanism } };
  return {
    statement: canonicalBytes(statement),
    ...signStatement(parts.identity, SPEND_DOMAIN, document),
  };
}

/**
 * The encoded vector that this silo made for the round before, undefined when it made none under this
 * charter and model.
 */
export async function keptValues(context: StepContext): Promise<Uint32Array | undefined> {
  const { seat, task } = context;
  const bytes = await seat.sessions.loadValues(task.id.round);
  const head = headOf(context);
  if (!bytes || !equalBytes(bytes.subarray(0, head.length), head)) return undefined;
  return vectorFromBytes(bytes.slice(head.length));
}

/** Keeps the encoded vector; when this returns it survives a power cut, and only then may it leave. */
export async function keepValues(context: StepContext, encoded: Uint32Array): Promise<void> {
  const bytes = concatBytes(headOf(context), vectorBytes(encoded));
  await context.seat.sessions.saveValues(context.task.id.round, bytes);
}

function headOf({ seat, task }: StepContext): Uint8Array {
  const hash = fromHex(seat.pinned.charterHash) ?? new Uint8Array();
  return concatBytes(utf8('values1\n'), hash, task.model.sha256);
}
