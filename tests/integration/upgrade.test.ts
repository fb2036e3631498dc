import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { prismaStore } from '@medley/aggregator';
import { ManualClock, sha256, utf8 } from '@medley/kit';
import { logKeyFromSeed } from '@medley/merkle';
import { decodeReceipt } from '@medley/secagg';
import { readCharter } from '@medley/study';
import { encodeEvent } from '@medley/trail';
import { Ledger } from '../../services/aggregator/src/log/ledger.ts';
import { decodeCourse } from '../../services/aggregator/src/rounds/codec.ts';
import { migrate, ownMigrations } from '../../services/aggregator/src/store/migrate.ts';
import { openSqlite } from '../../services/aggregator/src/store/sqlite.ts';

/**
 * A store as the program wrote it when 0003_lifecycle was its newest migration: three silos, one study
 * with its three rounds, its log and checkpoints. Recorded as SQL text, tables first.
 */
const RECORDED = new URL('recorded/store-0003.sql', import.meta.url);
const STUDY = 'recurrence-5y';
const NOW_MS = 1_800_000_000_000;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-upgrade-'));
  file = join(folder, 'medley.db');
  const client = await openSqlite(file);
  // The recording names rows before they stand.
  const text = await readFile(RECORDED, 'utf8');
  await client.executeMultiple(`PRAGMA foreign_keys = OFF;\n${text}\nPRAGMA foreign_keys = ON;`);
  expect((await client.execute('PRAGMA foreign_key_check')).rows).toEqual([]);
  client.close();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function applied(): Promise<unknown[]> {
  const client = await openSqlite(file);
  const { rows } = await client.execute('SELECT name FROM schema_migration ORDER BY name');
  client.close();
  return rows.map((row) => row[0]);
}

describe('a store that an earlier program wrote', () => {
  test('is brought to the present schema with everything that is in it', async () => {
    const own = (await ownMigrations()).map(({ name }) => name);
    expect(await applied()).toEqual(own.slice(0, 3));
    const store = await prismaStore(file, NOW_MS);
    expect(await applied()).toEqual(own);
    const { silos, studies, signatures, rounds } = store.tables;
    expect((await silos.list()).map(({ name, state }) => [name, state])).toEqual(
      ['alder', 'birch', 'cedar'].map((name) => [name, 'enrolled']),
    );
    const study = (await studies.get(STUDY))!;
    expect(study).toMatchObject({ state: 'completed', pausedMs: undefined });
    expect(readCharter(study.charter).roster).toHaveLength(3);
    expect(await signatures.of(STUDY)).toHaveLength(3);
    const rows = await rounds.of(STUDY);
    expect(rows.map(({ round, step }) => [round, step])).toEqual(
      [0, 1, 2].map((round) => [round, 'closed']),
    );
    for (const { state, outcome } of rows) {
      expect(decodeCourse(state).survivors).toEqual([1, 2, 3]);
      const receipt: unknown = JSON.parse(new TextDecoder().decode(outcome!.receipt));
      expect(decodeReceipt(receipt).survivors).toEqual([1, 2, 3]);
    }
    expect(rows.at(-1)!.outcome!.nextModel).toEqual(study.modelState);
    await store.close();
  });

  test('keeps a log that verifies against its checkpoints, and that goes on', async () => {
    const store = await prismaStore(file, NOW_MS);
    const options = {
      store,
      key: logKeyFromSeed('medley/test', sha256(utf8('log key'))),
      consortium: 'test',
      clock: new ManualClock(NOW_MS),
      encode: encodeEvent,
    };
    const ledger = await Ledger.open(options);
    const { size } = ledger;
    expect(size).toBeGreaterThan(10);
    const actor = { kind: 'aggregator', id: 'aggregator' } as const;
    await ledger.change(async ({ record }) => {
      const data = { name: 'approvals', value: '2' };
      await record({ type: 'consortium.setting', actor, outcome: 'ok', data });
    });
    await ledger.checkpoint();
    expect((await Ledger.open(options)).size).toBe(size + 1);
    await store.close();
  });

  test('stays as it was when a migration fails half way', async () => {
    const own = await ownMigrations();
    const sql = `${own[3]!.sql}\nINSERT INTO nowhere VALUES (1);`;
    const client = await openSqlite(file);
    const broken = migrate(client, [...own.slice(0, 3), { ...own[3]!, sql }], NOW_MS);
    await expect(broken).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
    client.close();
    expect(await applied()).toEqual(own.slice(0, 3).map(({ name }) => name));
    const store = await prismaStore(file, NOW_MS);
    expect(await applied()).toEqual(own.map(({ name }) => name));
    await store.close();
  });
});
