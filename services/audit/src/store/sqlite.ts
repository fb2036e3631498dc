import { access } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { createClient, type Client, type InValue, type Row } from '@libsql/client';
import { MedleyError } from '@medley/kit';
import { addSignatures } from '@medley/merkle';
import type { LogStore, StoredCheckpoint } from './store.ts';

/** Columns of a checkpoint `c` with the signature lines of its witnesses, by silo. */
const CHECKPOINT = `c.size, c.note, COALESCE((SELECT group_concat(line, '') FROM
  (SELECT line FROM cosignature k WHERE k.size = c.size ORDER BY k.silo)), '') AS lines`;

/**
 * Reads the aggregator's SQLite file through a connection that cannot write, so that no fault here
 * touches the log. Throws AUDIT_STORE_UNREADABLE when the file or its tables are not there; so do
 * the store's methods when the file is damaged or stays locked.
 */
export async function openLogStore(file: string): Promise<LogStore> {
  const client = await openReadOnly(file);
  const rows = async (sql: string, args: InValue[] = []): Promise<Row[]> => {
    try {
      return (await client.execute({ sql, args })).rows;
    } catch (cause) {
      throw new MedleyError('AUDIT_STORE_UNREADABLE', `${file} cannot be read`, { cause });
    }
  };
  return {
    leaves: async (from, to) => {
      const found = await rows(
        'SELECT idx, leaf FROM log_entry WHERE idx >= ? AND idx < ? ORDER BY idx',
        [from, to],
      );
      return found.map((row, i) => leafOf(row, from + i));
    },
    checkpoints: async (after, limit) => {
      const sql = `SELECT ${CHECKPOINT} FROM checkpoint c WHERE size > ? ORDER BY size LIMIT ?`;
      return (await rows(sql, [after, limit])).map(checkpointOf);
    },
    newestCheckpoint: async () => {
      const [row] = await rows(`SELECT ${CHECKPOINT} FROM checkpoint c ORDER BY size DESC LIMIT 1`);
      return row && checkpointOf(row);
    },
    isEnrolled: async (silo, serial) => {
      // By the clock of SQLite: the row says until when the aggregator honours the certificate.
      const found = await rows(
        `SELECT 1 FROM certificate c JOIN silo s ON s.name = c.silo
         WHERE s.name = ? AND c.serial = ? AND s.state = 'enrolled' AND c.revoked_ms IS NULL
         AND c.until_ms >= unixepoch() * 1000`,
        [silo, serial],
      );
      return found.length === 1;
    },
    isOperator: async (name, serial) => {
      const found = await rows(
        `SELECT 1 FROM operator WHERE name = ? AND state = 'active'
         AND COALESCE(certificate_serial, ?) = ?`,
        [name, serial, serial],
      );
      return found.length === 1;
    },
    close: () => client.close(),
  };
}

/**
 * A connection to an aggregator's file on which every statement that writes fails. Throws
 * AUDIT_STORE_UNREADABLE when the file or its tables are not there; makes neither.
 */
export async function openReadOnly(file: string): Promise<Client> {
  let client: Client | undefined;
  try {
    // The driver would make a missing file. It has no read-only mode either, hence `query_only`,
    // which holds because this one connection stays: only the driver's transactions change it.
    await access(file);
    client = createClient({ url: pathToFileURL(file).href });
    await client.execute('PRAGMA query_only = ON');
    await client.execute('PRAGMA busy_timeout = 5000');
    await client.execute('PRAGMA trusted_schema = OFF');
    await client.execute(
      'SELECT 1 FROM log_entry, checkpoint, silo, certificate, operator LIMIT 1',
    );
    // By itself: joined, an empty table would make the others be read whole.
    await client.execute('SELECT 1 FROM cosignature LIMIT 1');
    return client;
  } catch (cause) {
    client?.close();
    throw new MedleyError('AUDIT_STORE_UNREADABLE', `${file} holds no log`, { cause });
  }
}

function leafOf(row: Row, expected: number): Uint8Array {
  const { leaf } = row as { leaf?: unknown };
  if (Number(row['idx']) !== expected || !(leaf instanceof ArrayBuffer)) {
    throw new MedleyError('AUDIT_STORE_UNREADABLE', `entry ${expected} is missing`);
  }
  return new Uint8Array(leaf);
}

function checkpointOf(row: Row): StoredCheckpoint {
  // The columns are TEXT NOT NULL in STRICT tables.
  const [note, lines] = [row['note'] as string, row['lines'] as string];
  return { size: Number(row['size']), note: lines === '' ? note : addSignatures(note, lines) };
}
