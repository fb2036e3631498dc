import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { migrate, ownMigrations, type Migration } from './migrate.ts';
import { Connection, openSqlite } from './sqlite.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-sqlite-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a file is made under its very name, whatever stands in it', async () => {
  const name = 'a b%20c#d?e.db';
  const client = await openSqlite(join(folder, name));
  await client.execute('CREATE TABLE t (a)');
  client.close();
  expect(await readdir(folder)).toContain(name);
  expect((await readdir(folder)).every((one) => one.startsWith(name))).toBe(true);
});

describe('the connection', () => {
  const pragmas = ['journal_mode', 'synchronous', 'foreign_keys', 'busy_timeout'] as const;
  const expected = { journal_mode: 'wal', synchronous: 2, foreign_keys: 1, busy_timeout: 5000 };

  test('keeps its pragmas before, inside and after transactions, failed ones too', async () => {
    const client = await openSqlite(join(folder, 'a.db'));
    await migrate(client, await ownMigrations(), 0);
    const connection = new Connection(client);
    const read = async (): Promise<Record<string, unknown>> => {
      const values: Record<string, unknown> = {};
      for (const name of pragmas)
        values[name] = (await client.execute(`PRAGMA ${name}`)).rows[0]![0];
      return values;
    };
    expect(await read()).toEqual(expected);
    for (let i = 0; i < 3; i++) {
      expect(await connection.transaction(read)).toEqual(expected);
      const failed = connection.transaction(async () => {
        await client.execute(`INSERT INTO checkpoint VALUES (${String(i)}, 'x')`);
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      expect(await read()).toEqual(expected);
    }
    expect((await client.execute('SELECT * FROM checkpoint')).rows).toEqual([]);
    client.close();
  });

  test('holds the log append-only against plain SQL', async () => {
    const client = await openSqlite(join(folder, 'b.db'));
    await migrate(client, await ownMigrations(), 0);
    await client.execute({
      sql: 'INSERT INTO log_entry VALUES (0, ?, ?)',
      args: [new Uint8Array(1), new Uint8Array(32)],
    });
    await client.execute("INSERT INTO checkpoint VALUES (1, 'note')");
    await expect(client.execute('DELETE FROM log_entry')).rejects.toThrow('never deleted');
    await expect(client.execute("UPDATE log_entry SET leaf = x'00'")).rejects.toThrow(
      'never change',
    );
    await expect(client.execute('DELETE FROM checkpoint')).rejects.toThrow('never deleted');
    await expect(client.execute("UPDATE checkpoint SET note = ''")).rejects.toThrow('never change');
    client.close();
  });
});

describe('migrations', () => {
  const extra: Migration = {
    name: '9999_extra',
    sql: 'CREATE TABLE extra (a INTEGER) STRICT;',
    checksum: 'c',
  };

  test('are applied once, in order, and recorded', async () => {
    const client = await openSqlite(join(folder, 'c.db'));
    const own = await ownMigrations();
    await migrate(client, own, 7);
    await migrate(client, [...own, extra], 8);
    await migrate(client, [...own, extra], 9);
    const { rows } = await client.execute(
      'SELECT name, applied_ms FROM schema_migration ORDER BY name',
    );
    expect(rows.map((row) => [row['name'], row['applied_ms']])).toEqual([
      ...own.map((one) => [one.name, 7]),
      ['9999_extra', 8],
    ]);
    client.close();
  });

  test('refuse a database of a newer program', async () => {
    const client = await openSqlite(join(folder, 'd.db'));
    const own = await ownMigrations();
    await migrate(client, [...own, extra], 0);
    await expect(migrate(client, own, 1)).rejects.toMatchObject({ code: 'STORE_SCHEMA_NEWER' });
    client.close();
  });

  test('refuse a database that was made by another text', async () => {
    const client = await openSqlite(join(folder, 'e.db'));
    const own = await ownMigrations();
    await migrate(client, own, 0);
    const changed = own.map((one) => ({ ...one, checksum: 'other' }));
    await expect(migrate(client, changed, 1)).rejects.toMatchObject({
      code: 'STORE_SCHEMA_CHANGED',
    });
    client.close();
  });

  test('leave nothing behind when they fail', async () => {
    const client = await openSqlite(join(folder, 'f.db'));
    const broken = {
      name: '0001_broken',
      sql: 'CREATE TABLE half (a INTEGER); CREATE TABEL other;',
      checksum: 'x',
    };
    await expect(migrate(client, [broken], 0)).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
    const { rows } = await client.execute("SELECT name FROM sqlite_master WHERE name = 'half'");
    expect(rows).toEqual([]);
    await migrate(client, await ownMigrations(), 1);
    client.close();
  });
});
