import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { processTable, systemClock } from '@medley/kit';
import { gaussianPrice, spent } from '@medley/privacy';
import { openLedger } from '../../silo-agent/src/budget/ledger.ts';
import { openHome } from '../../silo-agent/src/home.ts';
import { callAgent } from '../support/commandLine.ts';

const BUILT = new URL('../../silo-agent/dist/', import.meta.url).href;
const MECHANISM = { rate: 0.01, noiseMultiplier: 4, steps: 1 };

let home: string;

beforeEach(async () => {
  home = join(await mkdtemp(join(tmpdir(), 'medley-killed-')), 'agent');
  await callAgent(['init', '--site', 'north', '--name', 'North', '--home', home]);
});

afterEach(() => rm(join(home, '..'), { recursive: true }));

const ledgerOf = async () =>
  openLedger(await openHome(home), { clock: systemClock, processes: processTable(process) });

/**
 * Debits one release after the other in a process of its own, which says each id once it is paid, and
 * sends it SIGKILL when it has said `until`; gives all that it said.
 */
async function debitUntilKilled(ids: readonly string[], until: string): Promise<readonly string[]> {
  const script = `
    import { systemClock, processTable } from '@medley/kit';
    import { gaussianPrice } from '@medley/privacy';
    const { openHome } = await import('${BUILT}home.js');
    const { openLedger } = await import('${BUILT}budget/ledger.js');
    const parts = { clock: systemClock, processes: processTable(process) };
    const ledger = openLedger(await openHome(${JSON.stringify(home)}), parts);
    const price = gaussianPrice(${JSON.stringify(MECHANISM)});
    for (const releaseId of ${JSON.stringify(ids)}) {
      await ledger.debit({ releaseId, study: 'relapse', ...price });
      process.stdout.write(releaseId + '\\n');
    }
    // Paid, and not released: this is where it is killed.
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: new URL('../../silo-agent/', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line);
    if (line === until) child.kill('SIGKILL');
  }
  expect(await ended).toEqual([null, 'SIGKILL']);
  return said;
}

test('a release that was paid and not sent when the agent was killed stays paid, once', async () => {
  expect(await debitUntilKilled(['r1'], 'r1')).toEqual(['r1']);
  const [entry, ...others] = await (await ledgerOf()).entries();
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ id: 'r1', study: 'relapse' });
  const { out } = await callAgent(['budget', '--home', home, '--json']);
  const { epsilon } = spent([entry!], 1e-6);
  expect(epsilon).toBeGreaterThan(0);
  expect(JSON.parse(out)).toMatchObject({ releases: 1, spent: epsilon });
  // The restarted agent pays again before it sends: it is the same entry.
  const again = { releaseId: 'r1', study: 'relapse', ...gaussianPrice(MECHANISM) };
  expect(await (await ledgerOf()).debit(again)).toEqual(entry);
  expect(await (await ledgerOf()).entries()).toHaveLength(1);
});

test('an agent that is killed amid its debits loses none that it was told of', async () => {
  const ids = Array.from({ length: 500 }, (_, i) => `r${String(i)}`);
  for (const until of ['r3', 'r9']) {
    // What was paid before is said again without being paid again.
    const said = await debitUntilKilled(ids, until);
    const entries = await (await ledgerOf()).entries();
    const kept = entries.map(({ id }) => id);
    expect(kept).toEqual(ids.slice(0, kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(said.length);
    expect(kept.length).toBeLessThan(ids.length);
  }
  const next = { releaseId: 'next', study: 'relapse', ...gaussianPrice(MECHANISM) };
  expect(await (await ledgerOf()).debit(next)).toMatchObject({ id: 'next' });
});
