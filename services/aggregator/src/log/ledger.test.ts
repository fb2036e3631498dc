import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock, sha256, silentLogger, utf8 } from '@medley/kit';
import {
  leafHash,
  logKeyFromSeed,
  openCheckpoint,
  verifierKeyOf,
  verifyInclusion,
} from '@medley/merkle';
import { decodeEvent, encodeEvent } from '@medley/trail';
import { memoryStore } from '../store/memory.ts';
import type { LogEntryRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { runCheckpoints } from './checkpoints.ts';
import { Ledger, type EventDraft } from './ledger.ts';

const key = logKeyFromSeed('medley/test', sha256(utf8('log')));
let store: Store;
let clock: ManualClock;
beforeEach(() => {
  store = memoryStore();
  clock = new ManualClock(Date.parse('2026-11-23T08:00:00Z'));
});

const open = (over: Store = store): Promise<Ledger> =>
  Ledger.open({ store: over, key, consortium: 'test', clock, encode: encodeEvent });

function stopped(reason: string): EventDraft {
  return {
    type: 'study.stopped',
    actor: { kind: 'aggregator', id: 'aggregator' },
    outcome: 'ok',
    study: 's',
    data: { reason },
  };
}

const add = (ledger: Ledger, reason: string): Promise<number> =>
  ledger.change(({ record }) => record(stopped(reason)));

/** The store with its entries as `edit` makes them. */
function tampered(edit: (rows: LogEntryRow[]) => LogEntryRow[]): Store {
  const { log } = store.tables;
  const range = async (from: number, to: number): Promise<LogEntryRow[]> =>
    edit(await log.range(0, 1000)).slice(from, to);
  const count = async (): Promise<number> => (await range(0, 1000)).length;
  return { ...store, tables: { ...store.tables, log: { ...log, range, count } } };
}

describe('the ledger', () => {
  test('writes events with time and consortium, in order, also when changes come at once', async () => {
    const ledger = await open();
    const indices = await Promise.all(['a', 'b', 'c'].map((reason) => add(ledger, reason)));
    expect(indices).toEqual([0, 1, 2]);
    const events = (await store.tables.log.range(0, 9)).map(({ leaf }) => decodeEvent(leaf));
    expect(events.map((event) => (event.data as { reason: string }).reason)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(events[0]).toMatchObject({ v: 1, consortium: 'test', at: '2026-11-23T08:00:00.000Z' });
  });

  test('leaves no leaf and runs no effect when the change fails', async () => {
    const ledger = await open();
    let ran = false;
    const failing = ledger.change(async ({ record, onCommit }) => {
      await record(stopped('a'));
      onCommit(() => (ran = true));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect([ledger.size, await store.tables.log.count(), ran]).toEqual([0, 0, false]);
    expect(await add(ledger, 'b')).toBe(0);
  });

  test('refuses an event that is not of its schema, and with it the change', async () => {
    const ledger = await open();
    const draft = { ...stopped('x'), data: { reason: '', patient: 'x' } } as unknown as EventDraft;
    await expect(ledger.change(({ record }) => record(draft))).rejects.toMatchObject({
      code: 'TRAIL_EVENT_INVALID',
    });
    expect(await store.tables.log.count()).toBe(0);
  });

  test('proves a leaf as soon as a checkpoint covers it, and after a restart', async () => {
    const first = await open();
    for (const reason of ['a', 'b', 'c', 'd', 'e']) await add(first, reason);
    expect(await first.prove(2)).toBeUndefined();
    await first.checkpoint();
    for (const ledger of [first, await open()]) {
      const proof = (await ledger.prove(2))!;
      const head = openCheckpoint(proof.checkpoint, [verifierKeyOf('log', key)]);
      expect(head).toMatchObject({ origin: 'medley/test', size: 5 });
      verifyInclusion({ ...head, index: 2, leafHash: leafHash(proof.leaf), proof: proof.path });
    }
  });

  test('signs only when there is something new', async () => {
    const ledger = await open();
    await ledger.checkpoint();
    expect(await store.tables.checkpoints.list()).toEqual([]);
    await add(ledger, 'a');
    expect(ledger.isDirty).toBe(true);
    await Promise.all([ledger.checkpoint(), ledger.checkpoint()]);
    expect(ledger.isDirty).toBe(false);
    expect(await store.tables.checkpoints.list()).toHaveLength(1);
  });

  test('signs every so often by the clock', async () => {
    const stop = new AbortController();
    let signed = 0;
    let next: () => void = () => undefined;
    const checkpoint = async (): Promise<void> => {
      signed++;
      next();
    };
    const work = runCheckpoints(
      { checkpoint },
      { everyMs: 60_000, clock, logger: silentLogger },
      stop.signal,
    );
    const after = new Promise<void>((resolve) => (next = resolve));
    clock.advance(59_999);
    expect(signed).toBe(0);
    clock.advance(1);
    await after;
    expect(signed).toBe(1);
    stop.abort();
    await work;
  });

  test('refuses to start over a log that differs from what was signed', async () => {
    const ledger = await open();
    for (const reason of ['a', 'b', 'c']) await add(ledger, reason);
    await ledger.checkpoint();
    const other = encodeEvent(decodeEvent((await store.tables.log.range(0, 1))[0]!.leaf));
    other[other.length - 3]! ^= 1;
    const edits: ((rows: LogEntryRow[]) => LogEntryRow[])[] = [
      (rows) => rows.slice(0, 2),
      (rows) => rows.map((row) => (row.index === 1 ? { ...row, leaf: other } : row)),
      (rows) =>
        rows.map((row) => (row.index === 1 ? { ...row, leaf: other, hash: leafHash(other) } : row)),
      (rows) => [rows[1]!, rows[0]!, rows[2]!],
    ];
    for (const edit of edits) {
      await expect(open(tampered(edit))).rejects.toMatchObject({ code: 'LOG_CORRUPT' });
    }
    const stranger = logKeyFromSeed('medley/test', sha256(utf8('other')));
    await expect(
      Ledger.open({ store, key: stranger, consortium: 'test', clock, encode: encodeEvent }),
    ).rejects.toMatchObject({ code: 'LOG_CORRUPT' });
  });
});
