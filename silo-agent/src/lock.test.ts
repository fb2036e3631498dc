import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { holderOf, takeLock, type ProcessTable } from './lock.ts';

let file: string;
const alive = new Set<number>();
const as = (pid: number): ProcessTable => ({ pid, isAlive: (other) => alive.has(other) });

beforeEach(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'medley-lock-')), 'run.lock');
  alive.clear();
});

afterEach(() => rm(join(file, '..'), { recursive: true }));

describe('lock', () => {
  test('lets one agent run at a time', async () => {
    alive.add(7);
    const lock = await takeLock(file, as(7));
    await expect(takeLock(file, as(8))).rejects.toMatchObject({
      code: 'AGENT_RUNNING',
      message: expect.stringContaining('process 7'),
    });
    await lock.release();
    await (await takeLock(file, as(8))).release();
  });

  test.each(['7', '', 'nonsense', '-1'])(
    'takes over the lock %j that nobody holds',
    async (left) => {
      await writeFile(file, left);
      expect(await holderOf(file, as(8))).toBeUndefined();
      await takeLock(file, as(8));
      expect(await readFile(file, 'utf8')).toBe('8');
    },
  );

  test('takes over its own number, which a container may hand out again', async () => {
    alive.add(1);
    await writeFile(file, '1');
    await takeLock(file, as(1));
    expect(await readFile(file, 'utf8')).toBe('1');
  });
});
