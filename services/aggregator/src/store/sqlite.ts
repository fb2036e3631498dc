import { pathToFileURL } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';

/** The one libSQL client type; taken from the adapter so that nothing else imports the driver. */
export type SqliteClient = ReturnType<PrismaLibSql['createClient']>;
type SqliteTransaction = Awaited<ReturnType<SqliteClient['transaction']>>;

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

/** The driver reads its argument as a URL, in which %, # and ? mean something. */
function urlOf(file: string): string {
  return pathToFileURL(file).href;
}

/** Opens the file, made when missing, with the pragmas set. */
export async function openSqlite(file: string): Promise<SqliteClient> {
  const url = urlOf(file);
  const client = new PrismaLibSql({ url }).createClient({ url });
  for (const pragma of PRAGMAS) await client.execute(pragma);
  return client;
}

/**
 * An adapter that stays on one connection. The driver's own `transaction` gives its connection away
 * and opens a new one, on which no pragma holds and which nobody closes; here a transaction is BEGIN
 * on the same connection. That is sound because the adapter lets nothing else run between the begin
 * and the end of a transaction. IMMEDIATE: a transaction that will write takes the lock at once
 * instead of failing when it first writes.
 */
export class PinnedLibSql extends PrismaLibSql {
  readonly #client: SqliteClient;

  constructor(file: string, client: SqliteClient) {
    super({ url: urlOf(file) });
    this.#client = client;
  }

  override createClient(): SqliteClient {
    const client = this.#client;
    return new Proxy(client, {
      get: (target, name) => {
        if (name === 'transaction') return async () => beginOn(target);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }
}

async function beginOn(client: SqliteClient): Promise<SqliteTransaction> {
  await client.execute('BEGIN IMMEDIATE');
  let open = true;
  const end = async (sql: string): Promise<void> => {
    if (!open) return;
    await client.execute(sql);
    open = false;
  };
  return {
    execute: async (statement) => client.execute(statement),
    batch: () => Promise.reject(new Error('no batches inside a transaction')),
    // The driver's own would roll the transaction back; the adapter calls neither.
    executeMultiple: () => Promise.reject(new Error('no scripts inside a transaction')),
    commit: () => end('COMMIT'),
    rollback: () => end('ROLLBACK'),
    close: () => void end('ROLLBACK'),
    get closed() {
      return !open;
    },
  };
}
