import { createClient, type Client, type InValue, type Row } from '@libsql/client';
import { MedleyError } from '@medley/kit';
import type { LogStore, StoredCheckpoint } from './store.ts';

/**
 * Reads the aggregator's SQLite file. `query_only` makes the connection unable to write, so a fault
 * here cannot touch the log. Throws AUDIT_STORE_UNREADABLE when the file or its tables are not there.
 */
export async function openLogStore(file: string): Promise<LogStore> {
  let client: Client;
  try {
    client = createClient({ url: `file:${file}` });
    await client.execute('PRAGMA query_only = ON');
    await client.execute('PRAGMA busy_timeout = 5000');
    await client.execute('SELECT COUNT(*) FROM log_entry');
  } catch (cause) {
    throw new MedleyError('AUDIT_STORE_UNREADABLE', `${file} holds no log`, { cause });
  }
  const rows = async (sql: string, args: InValue[] = []): Promise<Row[]> =>
    (await client.execute({ sql, args })).rows;
  return {
    size: async () => {
      const [row] = await rows('SELECT COUNT(*) AS n FROM log_entry');
      return Number(row?.['n'] ?? 0);
    },
    leaves: async (from, to) => {
      const found = await rows(
        'SELECT idx, leaf FROM log_entry WHERE idx >= ? AND idx < ? ORDER BY idx',
        [from, to],
      );
      return found.map((row, i) => leafOf(row, from + i));
    },
    checkpoints: async () =>
      (await rows('SELECT size, note FROM checkpoint ORDER BY size')).map(checkpointOf),
    newestCheckpoint: async () => {
      const [row] = await rows('SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1');
      return row && checkpointOf(row);
    },
    isEnrolled: async (silo, serial) => {
      const found = await rows(
        "SELECT 1 FROM silo WHERE name = ? AND certificate_serial = ? AND state = 'enrolled'",
        [silo, serial],
      );
      return found.length === 1;
    },
    close: () => client.close(),
  };
}

function leafOf(row: Row, expected: number): Uint8Array {
  const { leaf } = row as { leaf?: unknown };
  if (Number(row['idx']) !== expected || !(leaf instanceof ArrayBuffer)) {
    throw new MedleyError('AUDIT_STORE_UNREADABLE', `entry ${String(expected)} is missing`);
  }
  return new Uint8Array(leaf);
}

function checkpointOf(row: Row): StoredCheckpoint {
  // The column is TEXT NOT NULL in a STRICT table.
  return { size: Number(row['size']), note: row['note'] as string };
}
