import { blob, fromNull, numberOf, optionalBigint, optionalNumber, orNull } from './column.ts';
import type { CharterSignature, Study } from './generated/client.ts';
import type { Db } from './prisma.ts';
import type { SignatureRow, StudyRow, StudyState } from './rows.ts';
import type { Tables } from './store.ts';

/** Studies and charter signatures over Prisma. */
export function studyTables(
  db: Db,
): Pick<Tables, 'studies' | 'signatures' | 'withdrawals' | 'exclusions' | 'spends'> {
  return {
    studies: {
      get: async (name) => {
        const row = await db.study.findUnique({ where: { name } });
        return row === null ? undefined : studyOf(row);
      },
      list: async () =>
        (await db.study.findMany({ orderBy: [{ createdMs: 'asc' }, { name: 'asc' }] })).map(
          studyOf,
        ),
      put: async (row) => {
        const data = studyData(row);
        await db.study.upsert({ where: { name: row.name }, create: data, update: data });
      },
    },
    withdrawals: {
      of: async (study) => {
        const rows = await db.withdrawal.findMany({ where: { study }, orderBy: { silo: 'asc' } });
        return rows.map((row) => ({ ...row, atMs: numberOf(row.atMs) }));
      },
      put: async (row) => {
        const data = {
          ...row,
          statement: blob(row.statement),
          signature: blob(row.signature),
          atMs: BigInt(row.atMs),
        };
        const where = { study_silo: { study: row.study, silo: row.silo } };
        await db.withdrawal.upsert({ where, create: data, update: data });
      },
    },
    exclusions: {
      of: async (study) => {
        const rows = await db.exclusion.findMany({ where: { study }, orderBy: { silo: 'asc' } });
        return rows.map((row) => ({ ...row, atMs: numberOf(row.atMs) }));
      },
      put: async (row) => {
        const data = { ...row, atMs: BigInt(row.atMs) };
        const where = { study_silo: { study: row.study, silo: row.silo } };
        await db.exclusion.upsert({ where, create: data, update: data });
      },
    },
    spends: spendsOver(db),
    signatures: {
      get: async (study, silo) => {
        const row = await db.charterSignature.findUnique({
          where: { study_silo: { study, silo } },
        });
        return row === null ? undefined : signatureOf(row);
      },
      of: async (study) =>
        (await db.charterSignature.findMany({ where: { study }, orderBy: { silo: 'asc' } })).map(
          signatureOf,
        ),
      put: async (row) => {
        const data = {
          ...row,
          statement: blob(row.statement),
          signature: blob(row.signature),
          atMs: BigInt(row.atMs),
        };
        const where = { study_silo: { study: row.study, silo: row.silo } };
        await db.charterSignature.upsert({ where, create: data, update: data });
      },
    },
  };
}

function spendsOver(db: Db): Tables['spends'] {
  return {
    of: async (study) => {
      const orderBy = [{ round: 'asc' }, { silo: 'asc' }] as const;
      const rows = await db.privacySpend.findMany({ where: { study }, orderBy: [...orderBy] });
      return rows.map((row) => ({ ...row, atMs: numberOf(row.atMs) }));
    },
    put: async (row) => {
      const data = {
        ...row,
        statement: blob(row.statement),
        signature: blob(row.signature),
        atMs: BigInt(row.atMs),
      };
      const { study, silo, round } = row;
      const where = { study_silo_round: { study, silo, round } };
      await db.privacySpend.upsert({ where, create: data, update: data });
    },
  };
}

function studyData(row: StudyRow): Study {
  return {
    name: row.name,
    title: row.title,
    state: row.state,
    charterHash: row.charterHash,
    charter: blob(row.charter),
    studyFile: blob(row.studyFile),
    modelHash: row.model.hash,
    modelSizeBytes: row.model.sizeBytes,
    stateHash: row.modelState.hash,
    stateSizeBytes: row.modelState.sizeBytes,
    createdMs: BigInt(row.createdMs),
    startedMs: optionalBigint(row.startedMs),
    endedMs: optionalBigint(row.endedMs),
    pausedMs: optionalBigint(row.pausedMs),
    reason: orNull(row.reason),
  };
}

function studyOf(row: Study): StudyRow {
  return {
    name: row.name,
    title: row.title,
    state: row.state as StudyState,
    charterHash: row.charterHash,
    charter: row.charter,
    studyFile: row.studyFile,
    model: { hash: row.modelHash, sizeBytes: row.modelSizeBytes },
    modelState: { hash: row.stateHash, sizeBytes: row.stateSizeBytes },
    createdMs: numberOf(row.createdMs),
    startedMs: optionalNumber(row.startedMs),
    endedMs: optionalNumber(row.endedMs),
    pausedMs: optionalNumber(row.pausedMs),
    reason: fromNull(row.reason),
  };
}

function signatureOf(row: CharterSignature): SignatureRow {
  return { ...row, decision: row.decision as SignatureRow['decision'], atMs: numberOf(row.atMs) };
}
