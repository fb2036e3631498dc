import { mkdir, mkdtemp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '@medley/kit';
import { backUp, restore, type Homes } from './backup.ts';

const processes = { pid: 1, isAlive: (pid: number) => pid === 77 };
const clock = new ManualClock(Date.UTC(2026, 0, 1));
let folder: string;
let homes: Required<Homes>;

const homesIn = (base: string): Required<Homes> => ({
  operator: join(folder, base, 'operator'),
  aggregator: join(folder, base, 'aggregator'),
  audit: join(folder, base, 'audit'),
});
const put = (home: string, name: string, text: string, mode = 0o600): Promise<void> =>
  writeFile(join(home, name), text, { mode });
const save = (out = join(folder, 'backup')) => backUp({ homes, out, clock, processes });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-backup-'));
  homes = homesIn('live');
  await mkdir(join(homes.aggregator, 'blobs', 'ab'), { recursive: true });
  await mkdir(homes.operator, { recursive: true });
  await put(homes.operator, 'ca.key.pem', 'encrypted');
  await put(homes.operator, 'ca.pem', 'public', 0o644);
  await put(homes.aggregator, 'aggregator.yaml', 'database: medley.db\n');
  await put(homes.aggregator, 'medley.db', 'rows');
  await put(homes.aggregator, 'medley.db-wal', 'newer rows');
  await put(homes.aggregator, 'medley.db-shm', 'memory');
  await put(homes.aggregator, 'endpoints.json', '{}');
  await put(homes.aggregator, 'blobs/ab/abcd', 'blob');
});

describe('a backup', () => {
  test('comes back as it was: contents, modes, the write-ahead log, no traces of processes', async () => {
    const manifest = await save();
    expect(manifest).toMatchObject({
      at: '2026-01-01T00:00:00.000Z',
      homes: ['operator', 'aggregator'],
    });
    expect(manifest.files.map(({ path }) => path)).toEqual([
      'operator/ca.key.pem',
      'operator/ca.pem',
      'aggregator/aggregator.yaml',
      'aggregator/blobs/ab/abcd',
      'aggregator/medley.db',
      'aggregator/medley.db-wal',
    ]);
    const back = homesIn('restored');
    await restore(join(folder, 'backup'), back);
    expect(await readFile(join(back.aggregator, 'medley.db-wal'), 'utf8')).toBe('newer rows');
    expect((await stat(join(back.operator, 'ca.key.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(back.operator, 'ca.pem'))).mode & 0o777).toBe(0o644);
    expect((await stat(back.operator)).mode & 0o777).toBe(0o700);
    expect(await readdir(homes.aggregator)).not.toContain('medley.db.lock');
  });

  test('is not made while the aggregator runs, outside its home, or over another one', async () => {
    await put(homes.aggregator, 'medley.db.lock', '77');
    await expect(save()).rejects.toMatchObject({ code: 'AGGREGATOR_RUNNING' });
    await put(homes.aggregator, 'medley.db.lock', '78');
    await save();
    await expect(save()).rejects.toMatchObject({ code: 'BACKUP_EXISTS' });
    await put(homes.aggregator, 'aggregator.yaml', 'blobs: ../elsewhere\n');
    await expect(save(join(folder, 'b'))).rejects.toMatchObject({ code: 'BACKUP_OUTSIDE' });
    homes = homesIn('nowhere');
    await expect(save(join(folder, 'c'))).rejects.toMatchObject({ code: 'OPERATOR_HOME_MISSING' });
  });

  test('that was changed is not restored, and nothing is overwritten', async () => {
    await save();
    const from = join(folder, 'backup');
    await expect(restore(from, homes)).rejects.toMatchObject({ code: 'BACKUP_EXISTS' });
    await writeFile(join(from, 'aggregator/medley.db'), 'other');
    const damaged = { code: 'BACKUP_DAMAGED', message: expect.stringContaining('medley.db') };
    await expect(restore(from, homesIn('x'))).rejects.toMatchObject(damaged);
    await expect(readdir(homesIn('x').operator)).rejects.toThrow();
  });

  test('writes nowhere but below the homes, whatever its manifest says', async () => {
    await save();
    const file = join(folder, 'backup', 'manifest.json');
    const text = await readFile(file, 'utf8');
    for (const path of ['operator/../../x', '../x', '/etc/x', 'operator/./x', 'operator', 'a/b']) {
      await writeFile(file, text.replace('operator/ca.pem', path));
      await expect(restore(join(folder, 'backup'), homesIn('y'))).rejects.toMatchObject({
        code: 'BACKUP_DAMAGED',
      });
    }
  });
});
