import { pathToFileURL } from 'node:url';
import { createClient, type Client } from '@libsql/client/sqlite3';

/** The one libSQL client type. */
export type SqliteClient = Client;

/**
 * What every connection must have. WAL with synchronous=FULL: a commit that returned survives power
 * loss (sqlite.org/pragma.html#pragma_synchronous). The audit process reads the same file, so a
 * writer may have to wait.
 */
const PRAGMAS = [
  'PRAGMA journal_mode = WAL',
  'PRAGMA synchronous = FULL',
  'PRAGMA foreign_keys = ON',
  'PRAGMA busy_timeout = 5000',
  'PRAGMA trusted_schema = OFF',
] as const;

/** Opens the file, made when missing, with the pragmas set. */
export async function openSqlite(file: string): Promise<SqliteClient> {
  // The driver reads its argument as a URL, in which %, # and ? mean something.
  const client = createClient({ url: pathToFileURL(file).href });
  for (const pragma of PRAGMAS) await client.execute(pragma);
  return client;
}

/**
 * One connection whose users take turns: a transaction, or one statement outside any. The driver's own
 * `transaction` is never called: it gives its connection away and opens a new one, on which no pragma
 * holds and which nobody closes.
 */
export class Connection {
  readonly client: SqliteClient;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(client: SqliteClient) {
    this.client = client;
  }

  /** Runs `work` when all that was begun before is over. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work);
    this.#queue = run.catch(() => undefined);
    return run;
  }

  /**
   * Runs `work` between BEGIN and COMMIT, in a turn of its own; rolls back when either fails.
   * IMMEDIATE: a transaction that will write takes the lock at once instead of failing when it first
   * writes.
   */
  transaction<T>(work: () => Promise<T>): Promise<T> {
    return this.turn(async () => {
      await this.client.execute('BEGIN IMMEDIATE');
      try {
        const result = await work();
        await this.client.execute('COMMIT');
        return result;
      } catch (caught) {
        // SQLite may have rolled back by itself, as when the disk is full.
        await this.client.execute('ROLLBACK').catch(() => undefined);
        throw caught;
      }
    });
  }
}
