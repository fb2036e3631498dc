import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EXIT, ManualClock } from '@medley/kit';
import { gaussianPrice, spent, wouldSpend, type Forecast } from '@medley/privacy';
import { callAgent } from '../../../tests/support/commandLine.ts';
import { openLedger, type BudgetLedger } from '../budget/ledger.ts';
import { openHome } from '../home.ts';

const LIMIT = { epsilon: 3, delta: 1e-5 };
const ROUND = { rate: 0.02, noiseMultiplier: 1.2, steps: 50 };

let home: string;
let ledger: BudgetLedger;

const call = (...args: string[]) => callAgent(['budget', ...args, '--home', home]);

async function jsonOf(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await call(...args, '--json')).out) as Record<string, unknown>;
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'medley-budget-'));
  await rm(home, { recursive: true });
  await callAgent(['init', '--site', 'north', '--name', 'North', '--home', home]);
  const file = join(home, 'agent.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(
    file,
    text.replace(/epsilon: \d+/, 'epsilon: 3').replace('delta: 0.000001', 'delta: 1e-5'),
  );
  const processes = { pid: 1, isAlive: () => false };
  ledger = openLedger(await openHome(home), { clock: new ManualClock(0), processes });
});

afterAll(() => rm(home, { recursive: true }));

// The tests of this file are one journey, in order.
describe('an empty ledger', () => {
  test('says so, with the limit of agent.yaml', async () => {
    const { exit, out } = await call();
    expect(exit).toBe(EXIT.ok);
    expect(out).toMatch(/limit\s+epsilon 3 at delta 0\.00001\n/);
    expect(out).toMatch(/spent\s+epsilon 0\nleft\s+epsilon 3\n/);
    expect(out).toContain('The ledger is empty');
    expect(await jsonOf()).toEqual({
      ...{ dataset: 'patients', limit: LIMIT, spent: 0, left: 3, isEdge: false, releases: 0 },
      ...{ unit: null, adjacency: null, accountant: { name: 'rdp', version: '1' }, studies: [] },
    });
  });

  test('answers a what-if before anything was signed, and spends nothing', async () => {
    const { exit, out } = await call('--what-if', 'rate=0.02,noise=1.2,steps=50');
    expect(exit).toBe(EXIT.ok);
    expect(out).toMatch(
      /What if: epsilon 0 spent and [\d.]+ asked make [\d.]+, within 3 .* it fits\./,
    );
    expect(await ledger.entries()).toEqual([]);
  });
});

describe('a ledger of two studies', () => {
  beforeAll(async () => {
    const price = gaussianPrice(ROUND);
    for (let round = 1; round <= 3; round++)
      await ledger.debit({
        releaseId: `relapse/${String(round)}`,
        study: 'relapse',
        round,
        ...price,
      });
    await ledger.debit({ releaseId: 'survival/1', study: 'survival', round: 1, ...price });
  });

  test('shows what is spent and left, and what each study took', async () => {
    const { out } = await call();
    expect(out).toMatch(/protects\s+a patient: one more or less/);
    expect(out).toMatch(/STUDY\s+RELEASES\s+EPSILON ALONE\s+LAST/);
    expect(out).toMatch(/relapse\s+3\s+[\d.]+\s+1970-01-01T00:00:00\.000Z/);
    expect(out).toMatch(/survival\s+1\s/);
    const entries = await ledger.entries();
    const { epsilon } = spent(entries, LIMIT.delta);
    expect(await jsonOf()).toMatchObject({
      ...{ spent: epsilon, left: LIMIT.epsilon - epsilon, releases: 4 },
      ...{ unit: 'patient', adjacency: 'addRemove' },
      studies: [
        { study: 'relapse', releases: 3 },
        { study: 'survival', releases: 1 },
      ],
    });
  });

  test('says what does not fit, with the sum and exit code 7', async () => {
    const words = 'rate=0.05, noise=1, steps=2e3';
    const { exit, out } = await call('--what-if', words);
    expect(exit).toBe(EXIT.policy);
    expect(out).toMatch(/make [\d.]+, above 3 at delta 0\.00001: it is refused\./);
    const { curve } = gaussianPrice({ rate: 0.05, noiseMultiplier: 1, steps: 2000 });
    const { whatIf } = (await jsonOf('--what-if', words)) as { whatIf: Forecast };
    expect(whatIf).toEqual(wouldSpend(await ledger.entries(), curve, LIMIT));
    expect(await ledger.entries()).toHaveLength(4);
  });

  test.each(['', 'rate=0.1', 'rate=0.1,noise=1,steps=1,rate=0.2', 'rate=x,noise=1,steps=1', 'q=1'])(
    'teaches how to ask when the what-if is "%s"',
    async (words) => {
      const { exit, err } = await call('--what-if', words);
      expect(exit).toBe(EXIT.usage);
      expect(err).toContain('--what-if is rate=…,noise=…,steps=…');
    },
  );

  test('refuses a what-if that has no meaning', async () => {
    const { exit, err } = await call('--what-if', 'rate=2,noise=1,steps=1');
    expect(exit).toBe(EXIT.policy);
    expect(err).toContain('PRIVACY_PARAMETERS_INVALID');
  });

  test('that is damaged is not summed up', async () => {
    await writeFile(join(home, 'budget', 'patients.jsonl'), '');
    const { exit, err, out } = await call();
    expect([exit, out]).toEqual([EXIT.integrity, '']);
    expect(err).toMatch(/PRIVACY_LEDGER_DAMAGED[\s\S]*Fix:.*never delete it/);
  });
});
