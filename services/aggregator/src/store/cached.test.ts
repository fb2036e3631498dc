import { describe, expect, test } from '@jest/globals';
import { round, silo, study } from '../../../../tests/contract/storeRows.ts';
import { cachedStore } from './cached.ts';
import { memoryStore } from './memory.ts';
import type { Store } from './store.ts';

/** A store that tells which of its reads outside transactions were really made. */
function watched(): { readonly store: Store; readonly asked: string[] } {
  const inner = memoryStore();
  const asked: string[] = [];
  const { silos, rounds } = inner.tables;
  const tables = {
    ...inner.tables,
    silos: {
      ...silos,
      put: (row: Parameters<typeof silos.put>[0]) => silos.put(row),
      touch: (name: string, nowMs: number) => silos.touch(name, nowMs),
      list: () => silos.list(),
      get: (name: string) => {
        asked.push(`silo ${name}`);
        return name === 'broken' ? Promise.reject(new Error('no disk')) : silos.get(name);
      },
    },
    rounds: {
      ...rounds,
      newestClosed: (name: string) => {
        asked.push('newestClosed');
        return rounds.newestClosed(name);
      },
    },
  };
  return { store: cachedStore({ ...inner, tables }), asked };
}

describe('a store that answers from memory', () => {
  test('asks once until the row is written', async () => {
    const { store, asked } = watched();
    await store.tables.silos.put(silo('alder'));
    await store.tables.silos.get('alder');
    expect(await store.tables.silos.get('alder')).toEqual(silo('alder'));
    expect(asked).toEqual(['silo alder']);
    await store.tables.silos.put(silo('alder', { state: 'enrolled' }));
    expect((await store.tables.silos.get('alder'))?.state).toBe('enrolled');
    expect(asked).toHaveLength(2);
  });

  test('forgets what a transaction wrote, once it is committed', async () => {
    const { store, asked } = watched();
    await store.tables.silos.get('alder');
    await store.transaction(async (tables) => {
      await tables.silos.put(silo('alder'));
      expect(await tables.silos.get('alder')).toEqual(silo('alder'));
    });
    expect(await store.tables.silos.get('alder')).toEqual(silo('alder'));
    expect(asked).toHaveLength(2);
  });

  test('keeps the newest closed round while another one runs', async () => {
    const { store, asked } = watched();
    const { rounds, studies } = store.tables;
    await studies.put(study('recurrence'));
    expect(await rounds.newestClosed('recurrence')).toBeUndefined();
    await rounds.put(round('recurrence', 1, 1, 'mask'));
    await rounds.newestClosed('recurrence');
    expect(asked).toEqual(['newestClosed']);
  });

  test('does not keep a failure', async () => {
    const { store, asked } = watched();
    await expect(store.tables.silos.get('broken')).rejects.toThrow('no disk');
    await expect(store.tables.silos.get('broken')).rejects.toThrow('no disk');
    expect(asked).toHaveLength(2);
  });

  test('keeps a bounded number of answers', async () => {
    const { store, asked } = watched();
    for (let i = 0; i < 501; i++) await store.tables.silos.get(`silo-${String(i)}`);
    await store.tables.silos.get('silo-0');
    expect(asked).toHaveLength(502);
  });
});
