import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { holderOf, processTable, takeLock, type ProcessTable } from './lock.ts';

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
    const lock = await takeLock(file, as(7), 'AGENT_RUNNING');
    await expect(takeLock(file, as(8), 'AGENT_RUNNING')).rejects.toMatchObject({
      code: 'AGENT_RUNNING',
      message: expect.stringContaining('process 7'),
    });
    expect(await readdir(dirname(file))).toEqual(['run.lock']);
    await lock.release();
    await (await takeLock(file, as(8), 'AGENT_RUNNING')).release();
  });

  test.each(['7', '', 'nonsense', '-1'])(
    'takes over the lock %j that nobody holds',
    async (left) => {
      await writeFile(file, left);
      expect(await holderOf(file, as(8))).toBeUndefined();
      await takeLock(file, as(8), 'AGENT_RUNNING');
      expect(await readFile(file, 'utf8')).toBe('8');
    },
  );

  test('takes over its own number, which a container may hand out again', async () => {
    alive.add(1);
    await writeFile(file, '1');
    await takeLock(file, as(1), 'AGENT_RUNNING');
    expect(await readFile(file, 'utf8')).toBe('1');
  });

  test('says where it cannot be made', async () => {
    const nowhere = join(file, 'nowhere', 'run.lock');
    await expect(takeLock(nowhere, as(1), 'AGENT_RUNNING')).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
      message: `${nowhere} cannot be made (ENOENT)`,
    });
  });

  test('asks the system whether a process lives', () => {
    const answer = (code: string) => ({
      pid: 1,
      kill: () => {
        throw Object.assign(new Error(code), { code });
      },
    });
    expect(processTable({ pid: 1, kill: () => true }).isAlive(7)).toBe(true);
    expect(processTable(answer('EPERM')).isAlive(7)).toBe(true);
    expect(processTable(answer('ESRCH')).isAlive(7)).toBe(false);
  });
});
