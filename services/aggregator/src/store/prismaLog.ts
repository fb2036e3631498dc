import { blob, numberOf } from './column.ts';
import type { Db } from './prisma.ts';
import type { Tables } from './store.ts';

/** Log entries, checkpoints and cosignatures over Prisma. Triggers of the schema hold them append-only. */
export function logTables(
  db: Db,
): Pick<Tables, 'log' | 'checkpoints' | 'witnesses' | 'cosignatures'> {
  return {
    log: {
      count: async () => db.logEntry.count(),
      append: async (row) => {
        await db.logEntry.create({
          data: { idx: row.index, leaf: blob(row.leaf), hash: blob(row.hash) },
        });
      },
      range: async (from, to) => {
        const rows = await db.logEntry.findMany({
          where: { idx: { gte: from, lt: to } },
          orderBy: { idx: 'asc' },
        });
        return rows.map((row) => ({ index: row.idx, leaf: row.leaf, hash: row.hash }));
      },
    },
    checkpoints: {
      newest: async () =>
        (await db.checkpoint.findFirst({ orderBy: { size: 'desc' } })) ?? undefined,
      of: async (size) => (await db.checkpoint.findUnique({ where: { size } })) ?? undefined,
      list: async () => db.checkpoint.findMany({ orderBy: { size: 'asc' } }),
      append: async (row) => {
        await db.checkpoint.create({ data: { size: row.size, note: row.note } });
      },
    },
    witnesses: {
      get: async (silo) => {
        const row = await db.witness.findUnique({ where: { silo } });
        return row === null ? undefined : { ...row, atMs: numberOf(row.atMs) };
      },
      put: async (row) => {
        const data = { ...row, signature: blob(row.signature), atMs: BigInt(row.atMs) };
        await db.witness.upsert({ where: { silo: row.silo }, create: data, update: data });
      },
    },
    cosignatures: {
      of: async (size) => {
        const rows = await db.cosignature.findMany({ where: { size }, orderBy: { silo: 'asc' } });
        return rows.map((row) => ({ ...row, atMs: numberOf(row.atMs) }));
      },
      append: async (row) => {
        await db.cosignature.create({ data: { ...row, atMs: BigInt(row.atMs) } });
      },
    },
  };
}
