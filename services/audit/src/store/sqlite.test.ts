import { access, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogFile, testLeaves, type LogFile } from '../../../../tests/support/log.ts';
import { openLogStore, openReadOnly } from './sqlite.ts';
import type { LogStore } from './store.ts';

const leaves = testLeaves(5);
let log: LogFile;
let store: LogStore;

beforeAll(async () => {
  log = await createLogFile();
  store = await openLogStore(log.file);
});

afterAll(() => {
  store.close();
  log.close();
});

describe('reading', () => {
  test('has neither entry nor checkpoint in a new file', async () => {
    expect(await store.leaves(0, 10)).toEqual([]);
    expect(await store.newestCheckpoint()).toBeUndefined();
    expect(await store.checkpoints(-1, 10)).toEqual([]);
  });

  test('gives what the aggregator writes while the file is open', async () => {
    await log.append(...leaves.slice(0, 2));
    const first = await log.checkpoint();
    await log.append(...leaves.slice(2));
    const second = await log.checkpoint();
    expect(await store.leaves(1, 4)).toEqual(leaves.slice(1, 4));
    expect(await store.leaves(3, 100)).toEqual(leaves.slice(3));
    expect(await store.newestCheckpoint()).toEqual({ size: 5, note: second });
    expect(await store.checkpoints(-1, 1)).toEqual([{ size: 2, note: first }]);
    expect(await store.checkpoints(2, 10)).toEqual([{ size: 5, note: second }]);
  });

  test('takes a silo for enrolled only with the serial in force', async () => {
    await log.silo('charite', 'aa', 'enrolled');
    await log.silo('vienna', 'bb', 'revoked');
    expect(await store.isEnrolled('charite', 'aa')).toBe(true);
    expect(await store.isEnrolled('charite', 'ab')).toBe(false);
    expect(await store.isEnrolled('vienna', 'bb')).toBe(false);
    expect(await store.isEnrolled("x' OR 1=1 --", 'aa')).toBe(false);
  });

  test('takes an operator for one only with an active account that honours the certificate', async () => {
    expect(await store.isOperator('ada', 'aa')).toBe(true);
    expect(await store.isOperator('bob', 'aa')).toBe(false);
    await log.execute("UPDATE operator SET certificate_serial = 'bb'");
    expect(await store.isOperator('ada', 'aa')).toBe(false);
    expect(await store.isOperator('ada', 'bb')).toBe(true);
    await log.execute("UPDATE operator SET state = 'disabled'");
    expect(await store.isOperator('ada', 'bb')).toBe(false);
  });

  test('honours a certificate that was replaced only for its overlap', async () => {
    await log.silo('sloterdijk', 'cc', 'enrolled');
    expect(await store.isEnrolled('sloterdijk', 'cc')).toBe(true);
    await log.execute("UPDATE certificate SET until_ms = 1 WHERE serial = 'cc'");
    expect(await store.isEnrolled('sloterdijk', 'cc')).toBe(false);
  });

  test('opens a file whose path needs escaping in a URL', async () => {
    const odd = await createLogFile('a b#c.db');
    await odd.append(leaves[0]!);
    const reader = await openLogStore(odd.file);
    expect(await reader.leaves(0, 1)).toEqual([leaves[0]]);
    reader.close();
    odd.close();
  });

  test('reports a gap in the entries', async () => {
    const gap = await createLogFile();
    await gap.append(...leaves);
    await gap.execute('DROP TRIGGER log_entry_no_delete');
    await gap.execute('DELETE FROM log_entry WHERE idx = 2');
    const reader = await openLogStore(gap.file);
    await expect(reader.leaves(0, 5)).rejects.toMatchObject({ code: 'AUDIT_STORE_UNREADABLE' });
    reader.close();
    gap.close();
  });
});

describe('writing', () => {
  test.each([
    "INSERT INTO checkpoint VALUES (99, 'forged')",
    'UPDATE silo SET state = state',
    'DELETE FROM log_entry',
    'DROP TABLE log_entry',
    'CREATE TABLE mine (a)',
    'VACUUM',
  ])('the connection refuses %s', async (sql) => {
    const client = await openReadOnly(log.file);
    await expect(client.execute(sql)).rejects.toThrow(/readonly|read-only|query_only/i);
    client.close();
  });
});

describe('files that are no log', () => {
  test('names a missing file and does not make it', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'medley-log-')), 'medley.db');
    await expect(openLogStore(file)).rejects.toMatchObject({ code: 'AUDIT_STORE_UNREADABLE' });
    await expect(access(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each([
    ['an empty file', ''],
    ['text', 'this is no database, but it is long enough to have a header '.repeat(20)],
  ])('refuses %s', async (_, content) => {
    const file = join(await mkdtemp(join(tmpdir(), 'medley-log-')), 'medley.db');
    await writeFile(file, content);
    await expect(openLogStore(file)).rejects.toMatchObject({ code: 'AUDIT_STORE_UNREADABLE' });
  });
});
