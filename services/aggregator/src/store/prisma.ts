import { isMedleyError, MedleyError } from '@medley/kit';
import { PrismaClient, type Prisma } from './generated/client.ts';
import { migrate, ownMigrations } from './migrate.ts';
import { enrolmentTables } from './prismaEnrolment.ts';
import { identityTables } from './prismaIdentity.ts';
import { logTables } from './prismaLog.ts';
import { roundsTable } from './prismaRounds.ts';
import { studyTables } from './prismaStudies.ts';
import { openSqlite, PinnedLibSql, type SqliteClient } from './sqlite.ts';
import type { Store, Tables } from './store.ts';

/** What queries need: the client, or one transaction of it. */
export type Db = Prisma.TransactionClient;

/** Writes of one transaction may wait this long for each other before the store gives up. */
const TRANSACTION_WAIT_MS = 30_000;
/** A transaction that takes longer is broken: nothing inside one waits for a peer. */
const TRANSACTION_LIMIT_MS = 30_000;

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
  } catch (cause) {
    client.close();
    throw cause;
  }
  return storeOver(file, client);
}

/** The store over an open and migrated database, whose connection it closes. */
export function storeOver(file: string, client: SqliteClient): Store {
  const prisma = new PrismaClient({ adapter: new PinnedLibSql(file, client) });
  return {
    tables: tablesOver(prisma),
    transaction: async (work) => {
      try {
        return await prisma.$transaction((db) => work(tablesOver(db)), {
          maxWait: TRANSACTION_WAIT_MS,
          timeout: TRANSACTION_LIMIT_MS,
        });
      } catch (caught) {
        throw translated(caught);
      }
    },
    close: async () => {
      await prisma.$disconnect();
      if (!client.closed) client.close();
    },
  };
}

function tablesOver(db: Db): Tables {
  return coded({
    ...enrolmentTables(db),
    ...identityTables(db),
    ...studyTables(db),
    rounds: roundsTable(db),
    ...logTables(db),
  });
}

/** The same tables with every failure of the database as a MedleyError. */
function coded(tables: Tables): Tables {
  const wrapped = Object.entries(tables).map(([noun, table]) => {
    const methods = Object.entries(
      table as Record<string, (...args: unknown[]) => Promise<unknown>>,
    );
    return [
      noun,
      Object.fromEntries(
        methods.map(([name, method]) => [
          name,
          async (...args: unknown[]) => {
            try {
              return await method(...args);
            } catch (caught) {
              throw translated(caught);
            }
          },
        ]),
      ),
    ];
  });
  // Same nouns and methods as went in.
  return Object.fromEntries(wrapped) as Tables;
}

/**
 * Prisma's "unique constraint failed" and "foreign key constraint failed". The driver files what a
 * trigger raised (SQLITE_CONSTRAINT_TRIGGER) under the second.
 */
const CONFLICTS: readonly string[] = ['P2002', 'P2003'];

function translated(caught: unknown): unknown {
  if (isMedleyError(caught)) return caught;
  if (!(caught instanceof Error) || !caught.name.startsWith('Prisma')) return caught;
  const code = 'code' in caught ? String(caught.code) : 'unknown';
  return new MedleyError(
    CONFLICTS.includes(code) ? 'STORE_CONFLICT' : 'STORE_UNUSABLE',
    `the database answered ${code}`,
    {
      cause: caught,
    },
  );
}
