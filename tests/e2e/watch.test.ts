import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startTestConsortium, type TestConsortium } from '../support/operator.ts';

const MEDLEY = fileURLToPath(new URL('../../services/operator/bin/medley.js', import.meta.url));

let consortium: TestConsortium;
beforeAll(async () => {
  consortium = await startTestConsortium();
});
afterAll(() => consortium.close());
beforeEach(() => {
  consortium.admin.keepsWatching = true;
  consortium.admin.statuses = [{ summary: { study: 's', state: 'active', round: 1, rounds: 9 } }];
});

interface Watching {
  readonly child: ChildProcess;
  /** The next document on standard output. */
  next(): Promise<unknown>;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  readonly words: () => string;
}

/** `medley study status --watch --json` as a process of its own. */
function watch(): Watching {
  const args = [MEDLEY, 'study', 'status', 's', '--watch', '--json', '--home', consortium.home];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let err = '';
  child.stderr.on('data', (part) => (err += String(part)));
  return {
    child,
    next: async () => {
      const line = await lines.next();
      return line.done === true ? undefined : (JSON.parse(line.value) as unknown);
    },
    ended: once(child, 'close').then(
      ([code, signal]) => (code ?? signal) as number | string | null,
    ),
    words: () => err,
  };
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends a watching command with 130', async (signal) => {
  const watching = watch();
  expect(await watching.next()).toMatchObject({ round: 1 });
  watching.child.kill(signal);
  expect(await watching.ended).toBe(130);
  expect(watching.words()).toMatch(/^interrupted: /);
});

test('a watching command outlives its aggregator and ends with the study', async () => {
  const watching = watch();
  expect(await watching.next()).toMatchObject({ round: 1 });
  await consortium.stopAggregator();
  consortium.admin.statuses = [
    { summary: { study: 's', state: 'active', round: 8, rounds: 9 } },
    { summary: { study: 's', state: 'completed', round: 9, rounds: 9 } },
  ];
  await consortium.startAggregator();
  expect(await watching.next()).toMatchObject({ round: 8 });
  expect(await watching.next()).toMatchObject({ state: 'completed' });
  expect(await watching.ended).toBe(0);
  expect(watching.words()).toContain('connection lost, next try in 0.5 s');
});
