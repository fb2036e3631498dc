import { isMedleyError, MedleyError } from '@medley/kit';
import type { Prisma } from './generated/client.ts';
import { migrate, ownMigrations } from './migrate.ts';
import { enrolmentTables } from './prismaEnrolment.ts';
import { identityTables } from './prismaIdentity.ts';
import { logTables } from './prismaLog.ts';
import { roundsTable } from './prismaRounds.ts';
import { studyTables } from './prismaStudies.ts';
import { delegateOf, type Delegate } from './query.ts';
import { readModels } from './schema.ts';
import { Connection, openSqlite, type SqliteClient } from './sqlite.ts';
import type { Store, Tables } from './store.ts';

/**
 * What queries need. The type is that of Prisma's client, generated from the schema, so that the
 * compiler checks every query against it; what runs is {@link delegateOf}, which takes a tenth of the
 * memory of Prisma's engine and no second thread (docs/decisions/0015).
 */
export type Db = Prisma.TransactionClient;

/**
 * The store in one SQLite file, made and migrated when needed. Throws STORE_UNUSABLE when the file
 * cannot be opened, STORE_SCHEMA_NEWER and STORE_SCHEMA_CHANGED as {@link migrate} does.
 */
export async function prismaStore(file: string, nowMs: number): Promise<Store> {
  let client: SqliteClient;
  try {
    client = await openSqlite(file);
  } catch (cause) {
    throw new MedleyError('STORE_UNUSABLE', `database ${file} cannot be opened`, { cause });
  }
  try {
    await migrate(client, await ownMigrations(), nowMs);
    return storeOver(client);
  } catch (cause) {
    client.close();
    throw cause;
  }
}

/** The store over an open and migrated database, whose connection it closes. */
export function storeOver(client: SqliteClient): Store {
  const connection = new Connection(client);
  const db = databaseOver(client);
  return {
    tables: tablesOver(db, (work) => connection.turn(work)),
    transaction: async (work) => {
      let isOver = false;
      const inside = tablesOver(db, (query) => {
        if (isOver) throw new MedleyError('INTERNAL', 'a query after the end of its transaction');
        return query();
      });
      try {
        return await connection.transaction(() => work(inside).finally(() => (isOver = true)));
      } catch (caught) {
        throw translated(caught);
      }
    },
    close: () =>
      connection.turn(async () => {
        if (!client.closed) client.close();
      }),
  };
}

function databaseOver(client: SqliteClient): Db {
  const delegates: Record<string, Delegate> = {};
  for (const [name, model] of readModels()) delegates[name] = delegateOf(client, model);
  // The queries that the store makes are those that a delegate has; any other throws.
  return delegates as unknown as Db;
}

type Run = <T>(query: () => Promise<T>) => Promise<T>;

/** The tables, each call of which runs as `run` lets it, with every failure as a MedleyError. */
function tablesOver(db: Db, run: Run): Tables {
  const tables: Tables = {
    ...enrolmentTables(db),
    ...identityTables(db),
    ...studyTables(db),
    rounds: roundsTable(db),
    ...logTables(db),
  };
  const wrapped = Object.entries(tables).map(([noun, table]) => {
    const methods = Object.entries(
      table as Record<string, (...args: unknown[]) => Promise<unknown>>,
    );
    return [
      noun,
      Object.fromEntries(
        methods.map(([name, method]) => [
          name,
          (...args: unknown[]) =>
            run(() => method(...args)).catch((caught: unknown) => {
              throw translated(caught);
            }),
        ]),
      ),
    ];
  });
  // Same nouns and methods as went in.
  return Object.fromEntries(wrapped) as Tables;
}

/** What the schema's own rules refuse: a key that is taken, a row that is not there, a trigger's word. */
const CONFLICTS: readonly string[] = [
  ...(['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'] as const),
  ...(['SQLITE_CONSTRAINT_FOREIGNKEY', 'SQLITE_CONSTRAINT_TRIGGER'] as const),
];

function translated(caught: unknown): unknown {
  if (isMedleyError(caught)) return caught;
  if (!(caught instanceof Error) || caught.name !== 'LibsqlError') return caught;
  const { code, extendedCode = code } = caught as { code?: string; extendedCode?: string };
  return new MedleyError(
    extendedCode !== undefined && CONFLICTS.includes(extendedCode)
      ? 'STORE_CONFLICT'
      : 'STORE_UNUSABLE',
    `the database answered ${extendedCode ?? 'something unknown'}`,
    { cause: caught },
  );
}
