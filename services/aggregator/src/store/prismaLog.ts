import { blob } from './column.ts';
import type { Db } from './prisma.ts';
import type { Tables } from './store.ts';

/** Log entries and checkpoints over Prisma. Triggers of the schema hold them append-only. */
export function logTables(db: Db): Pick<Tables, 'log' | 'checkpoints'> {
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
      list: async () => db.checkpoint.findMany({ orderBy: { size: 'asc' } }),
      append: async (row) => {
        await db.checkpoint.create({ data: { size: row.size, note: row.note } });
      },
    },
  };
}
