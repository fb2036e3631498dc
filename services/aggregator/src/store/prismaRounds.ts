import { MedleyError } from '@medley/kit';
import {
  blob,
  fromNull,
  numberOf,
  optionalBigint,
  optionalBlob,
  optionalNumber,
  orNull,
} from './column.ts';
import type { Round } from './generated/client.ts';
import type { Db } from './prisma.ts';
import type { RoundId, RoundKindName, RoundOutcome, RoundRow, RoundStep } from './rows.ts';
import type { Rounds } from './store.ts';

const ENDED: RoundStep[] = ['closed', 'aborted'];

/** Rounds over Prisma. */
export function roundsTable(db: Db): Rounds {
  return {
    get: async (id) => optional(await db.round.findUnique({ where: keyOf(id) })),
    of: async (study) =>
      (
        await db.round.findMany({
          where: { study },
          orderBy: [{ round: 'asc' }, { attempt: 'asc' }],
        })
      ).map(roundOf),
    newest: async (study) =>
      optional(
        await db.round.findFirst({
          where: { study },
          orderBy: [{ round: 'desc' }, { attempt: 'desc' }],
        }),
      ),
    newestClosed: async (study) =>
      optional(
        await db.round.findFirst({ where: { study, step: 'closed' }, orderBy: { round: 'desc' } }),
      ),
    open: async () =>
      (
        await db.round.findMany({
          where: { step: { notIn: ENDED } },
          orderBy: [{ study: 'asc' }, { round: 'asc' }, { attempt: 'asc' }],
        })
      ).map(roundOf),
    put: async (row) => {
      const data = dataOf(row);
      await db.round.upsert({ where: keyOf(row), create: data, update: data });
    },
    addBytes: async (id, up, down) => {
      await db.round.updateMany({
        where: { study: id.study, round: id.round, attempt: id.attempt },
        data: { bytesUp: { increment: BigInt(up) }, bytesDown: { increment: BigInt(down) } },
      });
    },
  };
}

function keyOf(id: RoundId): { study_round_attempt: RoundId } {
  return { study_round_attempt: { study: id.study, round: id.round, attempt: id.attempt } };
}

function optional(row: Round | null): RoundRow | undefined {
  return row === null ? undefined : roundOf(row);
}

function dataOf(row: RoundRow): Round {
  return {
    study: row.study,
    round: row.round,
    attempt: row.attempt,
    kind: row.kind,
    step: row.step,
    openedMs: BigInt(row.openedMs),
    closedMs: optionalBigint(row.closedMs),
    modelHash: row.model.hash,
    modelSizeBytes: row.model.sizeBytes,
    state: blob(row.state),
    receipt: optionalBlob(row.outcome?.receipt),
    aggregateHash: orNull(row.outcome?.aggregate.hash),
    aggregateSizeBytes: orNull(row.outcome?.aggregate.sizeBytes),
    nextModelHash: orNull(row.outcome?.nextModel.hash),
    nextModelSizeBytes: orNull(row.outcome?.nextModel.sizeBytes),
    metrics: optionalBlob(row.outcome?.metrics),
    leafIndex: orNull(row.outcome?.leafIndex),
    abortCode: orNull(row.abortCode),
    bytesUp: BigInt(row.bytesUp),
    bytesDown: BigInt(row.bytesDown),
  };
}

function roundOf(row: Round): RoundRow {
  return {
    study: row.study,
    round: row.round,
    attempt: row.attempt,
    kind: row.kind as RoundKindName,
    step: row.step as RoundStep,
    openedMs: numberOf(row.openedMs),
    closedMs: optionalNumber(row.closedMs),
    model: { hash: row.modelHash, sizeBytes: row.modelSizeBytes },
    state: row.state,
    outcome: outcomeOf(row),
    abortCode: fromNull(row.abortCode),
    bytesUp: numberOf(row.bytesUp),
    bytesDown: numberOf(row.bytesDown),
  };
}

function outcomeOf(row: Round): RoundOutcome | undefined {
  if (row.step !== 'closed') return undefined;
  return {
    receipt: present(row.receipt),
    aggregate: { hash: present(row.aggregateHash), sizeBytes: present(row.aggregateSizeBytes) },
    nextModel: { hash: present(row.nextModelHash), sizeBytes: present(row.nextModelSizeBytes) },
    metrics: present(row.metrics),
    leafIndex: present(row.leafIndex),
  };
}

function present<T>(value: T | null): T {
  if (value === null)
    throw new MedleyError('STORE_UNUSABLE', 'a closed round lacks a part of its outcome');
  return value;
}
