import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock } from '@medley/kit';
import { gaussianPrice, spent } from '@medley/privacy';
import { BudgetLedger, type Debit } from './ledger.ts';

const LIMIT = { epsilon: 4, delta: 1e-6 };
const PRICE = gaussianPrice({ rate: 0.02, noiseMultiplier: 1.2, steps: 50 });

let folder: string;
let lines: string;
let head: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-budget-'));
  lines = join(folder, 'patients.jsonl');
  head = join(folder, 'patients.head.json');
});

afterEach(() => rm(folder, { recursive: true }));

function open(change: Partial<ConstructorParameters<typeof BudgetLedger>[0]> = {}): BudgetLedger {
  const processes = { pid: 7, isAlive: () => false };
  const parts = { folder, dataset: 'patients', limit: LIMIT, clock: new ManualClock(5), processes };
  return new BudgetLedger({ ...parts, ...change });
}

function release(releaseId: string, change: Partial<Debit> = {}): Debit {
  return { releaseId, study: 'relapse', ...PRICE, ...change };
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'nothing thrown',
    (caught: unknown) => (caught as { code: string }).code,
  );
}

describe('the ledger on disk', () => {
  test('is empty where nothing was debited, and reading makes no file', async () => {
    expect(await open({ folder: join(folder, 'none') }).entries()).toEqual([]);
    expect(await codeOf(stat(join(folder, 'none')))).toBe('ENOENT');
  });

  test('keeps what was debited for the next process, over studies', async () => {
    const first = await open().debit(release('a', { round: 3 }));
    const second = await open().debit(release('b', { study: 'survival', unit: 'silo' }));
    expect(await open().entries()).toEqual([first, second]);
    expect(first).toMatchObject({ sequence: 0, round: 3, unit: 'patient', adjacency: 'addRemove' });
    expect(second).toMatchObject({ sequence: 1, unit: 'silo', previous: first.hash });
    expect((await stat(lines)).mode & 0o777).toBe(0o600);
  });

  test('takes a repeated debit once, in one process and after a restart', async () => {
    const ledger = open();
    const [one, same] = await Promise.all([ledger.debit(release('a')), ledger.debit(release('a'))]);
    expect(same).toEqual(one);
    expect(await open().debit(release('a'))).toEqual(one);
    expect(await ledger.entries()).toEqual([one]);
  });

  test('keeps every one of many debits at once', async () => {
    const ledger = open();
    const ids = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(ids.map((id) => ledger.debit(release(id))));
    expect((await ledger.entries()).map(({ id }) => id)).toEqual(ids);
  });

  test('refuses another content under a known id, and counts nothing', async () => {
    const ledger = open();
    await ledger.debit(release('a'));
    expect(await codeOf(ledger.debit(release('a', { round: 1 })))).toBe('PRIVACY_RELEASE_REUSED');
    expect(await ledger.entries()).toHaveLength(1);
  });

  test('stops hard at the limit and stays there after a restart', async () => {
    let paid = 0;
    let code = '';
    while (code === '') {
      code = await codeOf(open().debit(release(`r${String(paid)}`)));
      if (code === 'nothing thrown') [paid, code] = [paid + 1, ''];
    }
    expect(code).toBe('PRIVACY_BUDGET_EXCEEDED');
    const entries = await open().entries();
    expect(entries).toHaveLength(paid);
    expect(spent(entries, LIMIT.delta).epsilon).toBeLessThanOrEqual(LIMIT.epsilon);
    expect(await codeOf(open().debit(release('more')))).toBe('PRIVACY_BUDGET_EXCEEDED');
    // What was paid may still be sent again.
    expect(await open().debit(release('r0'))).toEqual(entries[0]);
  });

  test("stops at the charter's limit when that is lower", async () => {
    const charterLimit = { epsilon: 0.1, delta: LIMIT.delta };
    const refused = open().debit(release('a', { charterLimit }));
    await expect(refused).rejects.toThrow("limit of study relapse's charter");
    expect(await codeOf(open().debit(release('a')))).toBe('nothing thrown');
  });

  test('waits for no other process: it says that the ledger is busy', async () => {
    await writeFile(join(folder, 'patients.lock'), '8');
    const processes = { pid: 7, isAlive: (pid: number) => pid === 8 };
    expect(await codeOf(open({ processes }).debit(release('a')))).toBe('PRIVACY_LEDGER_BUSY');
    expect(await codeOf(open().debit(release('a')))).toBe('nothing thrown');
  });

  test('a debit that cannot be written throws, so that nothing is released', async () => {
    await writeFile(join(folder, 'file'), '');
    const nowhere = open({ folder: join(folder, 'file', 'budget') });
    expect(await codeOf(nowhere.debit(release('a')))).toBe('FILE_UNWRITABLE');
  });
});

describe('a crash', () => {
  test('between entry and head leaves the entry counted, and the next debit goes on', async () => {
    await open().debit(release('a'));
    const before = await readFile(head);
    await open().debit(release('b'));
    await writeFile(head, before);
    expect(await open().entries()).toHaveLength(2);
    await open().debit(release('b'));
    await open().debit(release('c'));
    expect((await open().entries()).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  test('before the first head leaves the first entry counted', async () => {
    await open().debit(release('a'));
    await rm(head);
    await open().debit(release('b'));
    expect(await open().entries()).toHaveLength(2);
  });

  test('within a line leaves what was never acknowledged out, and the next debit goes on', async () => {
    await open().debit(release('a'));
    await appendFile(lines, '{"medley":"budget/v1","sequ');
    expect(await open().entries()).toHaveLength(1);
    await open().debit(release('b'));
    expect((await open().entries()).map(({ id }) => id)).toEqual(['a', 'b']);
  });
});

describe('damage', () => {
  beforeEach(async () => {
    for (const id of ['a', 'b', 'c']) await open().debit(release(id));
  });

  async function expectDamage(): Promise<void> {
    expect(await codeOf(open().entries())).toBe('PRIVACY_LEDGER_DAMAGED');
    expect(await codeOf(open().debit(release('d')))).toBe('PRIVACY_LEDGER_DAMAGED');
  }

  test('is a ledger that is gone', async () => {
    await rm(lines);
    await expectDamage();
  });

  test('is a head that is gone', async () => {
    await rm(head);
    await expectDamage();
  });

  test('is a last entry cut off, whole or in part', async () => {
    const { size } = await stat(lines);
    await truncate(lines, size - 1);
    await expectDamage();
    const text = await readFile(lines, 'utf8');
    await truncate(lines, text.lastIndexOf('\n') + 1);
    await expectDamage();
  });

  test('is a cheaper curve', async () => {
    const text = await readFile(lines, 'utf8');
    await writeFile(lines, text.replace('"curve":[', '"curve":[0.'));
    await expectDamage();
  });

  test('is a line that is not JSON, which is not quoted', async () => {
    const text = await readFile(lines, 'utf8');
    await writeFile(lines, `secret${text}`);
    await expectDamage();
    await expect(open().entries()).rejects.toThrow(/^\S+patients\.jsonl:1 is not JSON$/);
  });

  test('is a head of another shape or another ledger', async () => {
    const other = JSON.stringify({ medley: 'budgetHead/v1', entries: 3, hash: '0'.repeat(64) });
    for (const text of ['', '{}', other]) {
      await writeFile(head, text);
      await expectDamage();
    }
  });

  test("is another data set's ledger under this name", async () => {
    expect(await codeOf(open({ dataset: 'others' }).entries())).toBe('nothing thrown');
    await writeFile(join(folder, 'others.jsonl'), await readFile(lines));
    await writeFile(join(folder, 'others.head.json'), await readFile(head));
    expect(await codeOf(open({ dataset: 'others' }).entries())).toBe('PRIVACY_LEDGER_DAMAGED');
  });
});
