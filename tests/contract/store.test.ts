import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { memoryStore, prismaStore, type Store } from '@medley/aggregator';
import {
  certificate,
  invitation,
  operator,
  request,
  round,
  signature,
  silo,
  study,
  token,
} from './storeRows.ts';

interface Opened {
  readonly store: Store;
  close(): Promise<void>;
}

const stores: Record<string, () => Promise<Opened>> = {
  memory: async () => {
    const store = memoryStore();
    return { store, close: () => store.close() };
  },
  SQLite: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'medley-store-'));
    const store = await prismaStore(join(folder, 'medley.db'), 0);
    return {
      store,
      close: async () => {
        await store.close();
        await rm(folder, { recursive: true });
      },
    };
  },
};

describe.each(Object.keys(stores))('the store on %s', (name) => {
  let opened: Opened;
  let store: Store;
  beforeEach(async () => {
    opened = await stores[name]!();
    store = opened.store;
  });
  afterEach(() => opened.close());

  test('gives back the rows it was given, field for field', async () => {
    const { tables } = store;
    await tables.silos.put(silo('alder'));
    await tables.silos.put(
      silo('birch', { state: 'enrolled', identityKey: new Uint8Array(32).fill(7) }),
    );
    await tables.invitations.put(invitation('i1', 'alder'));
    await tables.requests.put(request('r1', 'alder', 'i1'));
    await tables.studies.put(study('recurrence'));
    await tables.signatures.put(signature('recurrence', 'alder'));
    expect(await tables.silos.get('alder')).toEqual(silo('alder'));
    expect((await tables.silos.list()).map((row) => row.name)).toEqual(['alder', 'birch']);
    expect(await tables.invitations.get('i1')).toEqual(invitation('i1', 'alder'));
    expect(await tables.requests.get('r1')).toEqual(request('r1', 'alder', 'i1'));
    expect(await tables.studies.get('recurrence')).toEqual(study('recurrence'));
    expect(await tables.signatures.get('recurrence', 'alder')).toEqual(
      signature('recurrence', 'alder'),
    );
    expect(await tables.signatures.of('recurrence')).toEqual([signature('recurrence', 'alder')]);
  });

  test('keeps certificates, revoked keys and approvals', async () => {
    const { certificates, revokedKeys, approvals } = store.tables;
    await store.tables.silos.put(silo('alder'));
    await store.tables.invitations.put(invitation('i1', 'alder'));
    await store.tables.requests.put(request('r1', 'alder', 'i1'));
    const first = certificate('0b', 'alder', { issuer: 'authority' });
    const second = certificate('0a', 'alder', { issuedMs: 2e12, requestHash: 'ab' });
    await certificates.put(second);
    await certificates.put(first);
    expect(await certificates.of('alder')).toEqual([first, second]);
    expect(await certificates.of('birch')).toEqual([]);
    expect(await certificates.get('0a')).toEqual(second);
    expect(await certificates.ofRequest('ab')).toEqual(second);
    expect(await certificates.ofRequest('cd')).toBeUndefined();
    expect(await certificates.revoked()).toEqual([]);
    const gone = { ...first, revokedMs: 3e12, reason: 'keyCompromise' };
    await certificates.put(gone);
    expect(await certificates.revoked()).toEqual([gone]);
    const identityKey = new Uint8Array(32).fill(7);
    expect(await revokedKeys.has(identityKey)).toBe(false);
    await revokedKeys.put({ identityKey, silo: 'alder', atMs: 3 });
    expect(await revokedKeys.has(identityKey)).toBe(true);
    const words = ['bob', 'ada'].map((name) => ({ requestId: 'r1', operator: name, atMs: 9 }));
    for (const word of words) await approvals.put(word);
    expect(await approvals.of('r1')).toEqual([...words].reverse());
    expect(await approvals.of('r2')).toEqual([]);
  });

  test('keeps operators, tokens and settings', async () => {
    const { operators, tokens, settings } = store.tables;
    await operators.put(operator('bob', { state: 'disabled', certificateSerial: '0c' }));
    await operators.put(operator('ada'));
    expect(await operators.list()).toEqual([
      operator('ada'),
      operator('bob', { state: 'disabled', certificateSerial: '0c' }),
    ]);
    expect(await operators.get('ada')).toEqual(operator('ada'));
    expect(await operators.get('eve')).toBeUndefined();
    await tokens.put(token('t2', 'ada', { createdMs: 8, revokedMs: 9 }));
    await tokens.put(token('t1', 'ada', { scopes: [] }));
    expect(await tokens.list()).toEqual([
      token('t1', 'ada', { scopes: [] }),
      token('t2', 'ada', { createdMs: 8, revokedMs: 9 }),
    ]);
    expect(await tokens.get('t3')).toBeUndefined();
    expect(await settings.get('approvals')).toBeUndefined();
    await settings.put('approvals', '1');
    await settings.put('approvals', '2');
    expect(await settings.get('approvals')).toBe('2');
  });

  test('keeps who was excluded from a study, and why', async () => {
    const { studies, silos, exclusions } = store.tables;
    for (const name of ['birch', 'elm']) await silos.put(silo(name));
    await studies.put(study('s'));
    const row = { study: 's', silo: 'elm', round: 3, attempt: 1, code: 'SECAGG_BOX_INVALID' };
    await exclusions.put({ ...row, atMs: 7 });
    await exclusions.put({ ...row, silo: 'birch', atMs: 8 });
    await exclusions.put({ ...row, atMs: 9 });
    expect(await exclusions.of('s')).toEqual([
      { ...row, silo: 'birch', atMs: 8 },
      { ...row, atMs: 9 },
    ]);
    expect(await exclusions.of('t')).toEqual([]);
  });

  test('keeps one witness key a silo and every cosignature once', async () => {
    const { silos, witnesses, checkpoints, cosignatures } = store.tables;
    for (const name of ['alder', 'birch']) await silos.put(silo(name));
    const key = { silo: 'alder', verifierKey: 'k1', signature: new Uint8Array(64), atMs: 5 };
    await witnesses.put(key);
    await witnesses.put({ ...key, verifierKey: 'k2' });
    expect(await witnesses.get('alder')).toEqual({ ...key, verifierKey: 'k2' });
    expect(await witnesses.get('birch')).toBeUndefined();
    const stolen = witnesses.put({ ...key, silo: 'birch', verifierKey: 'k2' });
    await expect(stolen).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    await checkpoints.append({ size: 3, note: 'n' });
    const word = { size: 3, silo: 'birch', line: 'l', atMs: 6 };
    await cosignatures.append(word);
    await cosignatures.append({ ...word, silo: 'alder' });
    const again = cosignatures.append({ ...word, line: 'other' });
    await expect(again).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    expect(await cosignatures.of(3)).toEqual([{ ...word, silo: 'alder' }, word]);
    expect(await cosignatures.of(4)).toEqual([]);
  });

  test('keeps what silos stated to have spent, one row a round and silo', async () => {
    const { studies, silos, spends } = store.tables;
    await studies.put(study('s'));
    for (const name of ['alder', 'birch']) await silos.put(silo(name));
    const row = {
      ...{ study: 's', silo: 'birch', round: 10, atMs: 5 },
      statement: new Uint8Array([1]),
      signature: new Uint8Array(64).fill(2),
    };
    await spends.put(row);
    await spends.put({ ...row, silo: 'alder' });
    await spends.put({ ...row, round: 2 });
    await spends.put({ ...row, statement: new Uint8Array([3]) });
    expect(await spends.of('s')).toEqual([
      { ...row, round: 2 },
      { ...row, silo: 'alder' },
      { ...row, statement: new Uint8Array([3]) },
    ]);
    expect(await spends.of('t')).toEqual([]);
  });

  test('keeps pauses and withdrawals', async () => {
    const { studies, silos, withdrawals } = store.tables;
    await silos.put(silo('alder'));
    await silos.put(silo('birch'));
    await studies.put({ ...study('s'), pausedMs: 1_800_000_000_000 });
    expect((await studies.get('s'))?.pausedMs).toBe(1_800_000_000_000);
    const { statement, signature: signed, atMs } = signature('s', 'alder');
    const left = { study: 's', silo: 'alder', statement, signature: signed, atMs };
    await withdrawals.put({ ...left, silo: 'birch' });
    await withdrawals.put(left);
    expect(await withdrawals.of('s')).toEqual([left, { ...left, silo: 'birch' }]);
    expect(await withdrawals.of('t')).toEqual([]);
  });

  test('answers undefined for what it does not have', async () => {
    const { tables } = store;
    expect(await tables.silos.get('x')).toBeUndefined();
    expect(await tables.invitations.get('x')).toBeUndefined();
    expect(await tables.requests.get('x')).toBeUndefined();
    expect(await tables.studies.get('x')).toBeUndefined();
    expect(await tables.rounds.get({ study: 'x', round: 0, attempt: 1 })).toBeUndefined();
    expect(await tables.rounds.newest('x')).toBeUndefined();
    expect(await tables.checkpoints.newest()).toBeUndefined();
    expect(await tables.log.count()).toBe(0);
  });

  test('replaces a row that it has', async () => {
    await store.tables.silos.put(silo('alder'));
    await store.tables.silos.put(silo('alder', { state: 'revoked', certificateSerial: '0A' }));
    expect(await store.tables.silos.list()).toEqual([
      silo('alder', { state: 'revoked', certificateSerial: '0A' }),
    ]);
  });

  test('notes when a silo was seen, and only for silos it knows', async () => {
    await store.tables.silos.put(silo('alder'));
    await store.tables.silos.touch('alder', 99);
    await store.tables.silos.touch('nobody', 99);
    expect(await store.tables.silos.list()).toEqual([silo('alder', { lastSeenMs: 99 })]);
  });

  test('keeps all of a transaction or nothing', async () => {
    await store.tables.silos.put(silo('alder'));
    const failing = store.transaction(async (tables) => {
      await tables.silos.put(silo('alder', { state: 'enrolled' }));
      await tables.log.append({ index: 0, leaf: new Uint8Array([1]), hash: new Uint8Array(32) });
      throw new Error('the work failed');
    });
    await expect(failing).rejects.toThrow('the work failed');
    expect(await store.tables.silos.get('alder')).toEqual(silo('alder'));
    expect(await store.tables.log.count()).toBe(0);
    const result = await store.transaction(async (tables) => {
      await tables.silos.put(silo('alder', { state: 'enrolled' }));
      return (await tables.silos.get('alder'))?.state;
    });
    expect(result).toBe('enrolled');
    expect((await store.tables.silos.get('alder'))?.state).toBe('enrolled');
  });

  test('runs transactions one after the other', async () => {
    await store.tables.silos.put(silo('alder'));
    const increments = Array.from({ length: 20 }, () =>
      store.transaction(async (tables) => {
        const row = (await tables.silos.get('alder'))!;
        await tables.silos.put({ ...row, lastSeenMs: row.lastSeenMs + 1 });
      }),
    );
    await Promise.all(increments);
    expect((await store.tables.silos.get('alder'))?.lastSeenMs).toBe(20);
  });

  test('orders rounds by number and attempt and finds the newest', async () => {
    await store.tables.studies.put(study('s'));
    const { rounds, log } = store.tables;
    await log.append({ index: 0, leaf: new Uint8Array([1]), hash: new Uint8Array(32) });
    await rounds.put(round('s', 0, 1, 'closed'));
    await rounds.put(round('s', 1, 1, 'aborted'));
    await rounds.put(round('s', 1, 2, 'closed'));
    await rounds.put(round('s', 10, 1, 'advertise'));
    expect((await rounds.of('s')).map((row) => [row.round, row.attempt])).toEqual([
      [0, 1],
      [1, 1],
      [1, 2],
      [10, 1],
    ]);
    expect(await rounds.get({ study: 's', round: 1, attempt: 2 })).toEqual(
      round('s', 1, 2, 'closed'),
    );
    expect((await rounds.newest('s'))?.round).toBe(10);
    expect((await rounds.newestClosed('s'))?.round).toBe(1);
    expect((await rounds.open()).map((row) => row.round)).toEqual([10]);
  });

  test('refuses a second open attempt of a study', async () => {
    await store.tables.studies.put(study('s'));
    await store.tables.rounds.put(round('s', 1, 1, 'mask'));
    await expect(store.tables.rounds.put(round('s', 1, 2, 'advertise'))).rejects.toMatchObject({
      code: 'STORE_CONFLICT',
    });
    await store.tables.rounds.put(round('s', 1, 1, 'aborted'));
    await store.tables.rounds.put(round('s', 1, 2, 'advertise'));
    expect(await store.tables.rounds.open()).toHaveLength(1);
  });

  test('adds up byte counts', async () => {
    await store.tables.studies.put(study('s'));
    await store.tables.rounds.put(round('s', 1, 1, 'mask'));
    await store.tables.rounds.addBytes({ study: 's', round: 1, attempt: 1 }, 5, 7);
    await store.tables.rounds.addBytes({ study: 's', round: 1, attempt: 1 }, 1, 0);
    expect(await store.tables.rounds.newest('s')).toMatchObject({ bytesUp: 6, bytesDown: 7 });
  });

  test('appends log entries without gaps', async () => {
    const entry = (index: number) => ({
      index,
      leaf: new Uint8Array([index]),
      hash: new Uint8Array(32).fill(index),
    });
    const { log } = store.tables;
    await log.append(entry(0));
    await log.append(entry(1));
    await expect(log.append(entry(1))).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    await expect(log.append(entry(3))).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    expect(await log.range(0, 9)).toEqual([entry(0), entry(1)]);
    expect(await log.range(1, 2)).toEqual([entry(1)]);
  });

  test('keeps one checkpoint of a size', async () => {
    const { checkpoints } = store.tables;
    await checkpoints.append({ size: 3, note: 'three' });
    await checkpoints.append({ size: 12, note: 'twelve' });
    await expect(checkpoints.append({ size: 3, note: 'other' })).rejects.toMatchObject({
      code: 'STORE_CONFLICT',
    });
    expect(await checkpoints.newest()).toEqual({ size: 12, note: 'twelve' });
    expect(await checkpoints.of(3)).toEqual({ size: 3, note: 'three' });
    expect(await checkpoints.of(4)).toBeUndefined();
    expect((await checkpoints.list()).map((row) => row.note)).toEqual(['three', 'twelve']);
  });

  test('shares no memory with its callers', async () => {
    const row = silo('alder', { state: 'enrolled', identityKey: new Uint8Array(32).fill(1) });
    await store.tables.silos.put(row);
    row.identityKey!.fill(9);
    const read = await store.tables.silos.get('alder');
    read!.identityKey!.fill(8);
    expect((await store.tables.silos.get('alder'))?.identityKey).toEqual(
      new Uint8Array(32).fill(1),
    );
  });
});
