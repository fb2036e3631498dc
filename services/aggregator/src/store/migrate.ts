import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { MedleyError, readBytes, sha256, toHex } from '@medley/kit';
import type { SqliteClient } from './sqlite.ts';

/** One numbered change of the schema. */
export interface Migration {
  /** Folder name, `NNNN_words`. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hex. */
  readonly checksum: string;
}

const folder = fileURLToPath(new URL('../../prisma/migrations/sqlite/', import.meta.url));

/** The migrations that this program carries, in order. */
export async function ownMigrations(): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_[a-z0-9_]+$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const bytes = await readBytes(`${folder}/${name}/migration.sql`);
      return { name, sql: new TextDecoder().decode(bytes), checksum: toHex(sha256(bytes)) };
    }),
  );
}

/**
 * Brings the database to the newest schema, each migration in a transaction of its own with its
 * record. Throws STORE_SCHEMA_NEWER when the file was written by a newer program and
 * STORE_SCHEMA_CHANGED when an applied migration is not the one that this program carries.
 */
export async function migrate(
  client: SqliteClient,
  migrations: readonly Migration[],
  nowMs: number,
): Promise<void> {
  await client.execute(
    'CREATE TABLE IF NOT EXISTS schema_migration (name TEXT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT',
  );
  const { rows } = await client.execute(
    'SELECT name, checksum FROM schema_migration ORDER BY name',
  );
  rows.forEach((row, place) => {
    // Both columns are TEXT NOT NULL.
    const [name, checksum] = [row[0] as string, row[1] as string];
    const mine = migrations[place];
    if (mine === undefined || mine.name !== name) {
      throw new MedleyError(
        'STORE_SCHEMA_NEWER',
        `the database has migration ${name}, unknown here`,
      );
    }
    if (mine.checksum !== checksum) {
      throw new MedleyError(
        'STORE_SCHEMA_CHANGED',
        `migration ${name} was applied with another text`,
      );
    }
  });
  for (const migration of migrations.slice(rows.length)) await apply(client, migration, nowMs);
}

async function apply(client: SqliteClient, migration: Migration, nowMs: number): Promise<void> {
  // Name and checksum are ours and hold no quote; the driver's scripts take no parameters.
  const record = `INSERT INTO schema_migration VALUES ('${migration.name}', '${migration.checksum}', ${String(Math.trunc(nowMs))});`;
  try {
    await client.executeMultiple(`BEGIN IMMEDIATE;\n${migration.sql}\n${record}\nCOMMIT;`);
  } catch (cause) {
    throw new MedleyError('STORE_UNUSABLE', `migration ${migration.name} failed`, { cause });
  }
}
