import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

// Benches measure nothing here: they run with the smallest sizes, so that they still run at all.
const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const bench = (...args: readonly string[]) =>
  run(process.execPath, ['scripts/bench.mjs', ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: folder },
  });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function figuresIn(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
}

const positive = expect.any(Number);

describe('npm run bench', () => {
  test('secagg gives an exact sum, its figures, and leaves nothing behind', async () => {
    const file = join(folder, 'figures.json');
    const args = ['--silos', '5', '--size', '1000', '--drop', '1', '--json', file];
    const { stdout } = await bench('secagg', ...args);
    expect(stdout).toContain('the sum is exact');
    expect(await figuresIn(file)).toMatchObject({
      silo: { maskSeconds: positive },
      aggregator: { unmaskSeconds: positive, peakBytes: positive },
      round: { seconds: positive },
      mask1e7: { ms: positive },
      limit1e7: { ms: positive },
    });
    expect(await readdir(folder)).toEqual(['figures.json']);
  }, 60_000);

  test('round runs real programs, stays within its bound, and leaves nothing behind', async () => {
    const file = join(folder, 'figures.json');
    const args = ['--silos', '3', '--size', '60', '--rounds', '1', '--ring', '16', '--json', file];
    await bench('round', ...args);
    const figures = await figuresIn(file);
    expect(figures).toMatchObject({
      secondsPerRound: positive,
      bytesUp: positive,
      bytesDown: positive,
      aggregatorPeakBytes: positive,
      siloPeakBytes: positive,
      maxError: positive,
    });
    expect(Number(figures['maxError'])).toBeLessThanOrEqual(Number(figures['errorBound']));
    expect(Number(figures['bytesUp'])).toBeGreaterThan(3 * 2 * 60);
    expect(await readdir(folder)).toEqual(['figures.json']);
  }, 120_000);

  test.each([
    ['round', '--size', '10'],
    ['round', '--ring', '8'],
    ['secagg', '--silos', '2'],
    ['secagg', '--silos', '5', '--drop', '2'],
    ['secagg', '--nonsense'],
    ['communication', '--rounds', 'many'],
    ['nonsense'],
  ])('refuses %s %s %s', async (...args) => {
    const failed: unknown = await bench(...args).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining('npm run bench') });
  });

  test.each(['communication', 'round', 'secagg', 'train'])('%s explains itself', async (what) => {
    expect((await bench(what, '--help')).stdout).toContain(`npm run bench -- ${what}`);
  });
});
