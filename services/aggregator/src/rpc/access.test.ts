import { describe, expect, test } from '@jest/globals';
import { Admin, Enrolment, Rounds, type CallContext, type Peer } from '@medley/rpc';
import { memoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { ACCESS, authorise } from './access.ts';

const methods = [Enrolment, Rounds, Admin].flatMap((service) =>
  Object.keys(service.definition()).map(
    (name) => `${service.name}.${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  ),
);

const peer = (role: Peer['role'], change: Partial<Peer> = {}): Peer => ({
  role,
  name: 'alder',
  consortium: 'test',
  serial: '0a',
  ...change,
});

async function storeWith(state: 'enrolled' | 'revoked'): Promise<Store> {
  const store = memoryStore();
  await store.tables.silos.put({
    name: 'alder',
    state,
    requestId: undefined,
    identityKey: new Uint8Array(32),
    fingerprint: '',
    certificateSerial: '0a',
    certificateExpiresMs: 1,
    lastSeenMs: 0,
  });
  return store;
}

async function verdict(method: string, who: Peer | undefined, store: Store): Promise<string> {
  try {
    await authorise({ store, consortium: 'test' }, { method, peer: who } as CallContext);
    return 'admitted';
  } catch (caught) {
    return (caught as { code: string }).code;
  }
}

describe('access', () => {
  test('is settled for every method of the three services, and for no other', () => {
    expect(Object.keys(ACCESS).sort()).toEqual([...methods].sort());
  });

  test.each(methods)('%s admits exactly its role', async (method) => {
    const store = await storeWith('enrolled');
    const wanted = ACCESS[method];
    for (const role of ['silo', 'operator', 'aggregator', 'audit'] as const) {
      const expected = wanted === 'none' || wanted === role ? 'admitted' : 'RPC_FORBIDDEN';
      expect(await verdict(method, peer(role), store)).toBe(expected);
    }
    expect(await verdict(method, undefined, store)).toBe(
      wanted === 'none' ? 'admitted' : 'RPC_UNAUTHENTICATED',
    );
    if (wanted === 'none') return;
    expect(await verdict(method, peer(wanted!, { consortium: 'other' }), store)).toBe(
      'RPC_FORBIDDEN',
    );
  });

  test('ends for a silo that is revoked, unknown or shows an older certificate', async () => {
    const method = 'Rounds.advertise';
    expect(await verdict(method, peer('silo'), await storeWith('revoked'))).toBe('RPC_FORBIDDEN');
    const store = await storeWith('enrolled');
    expect(await verdict(method, peer('silo', { serial: '0b' }), store)).toBe('RPC_FORBIDDEN');
    expect(await verdict(method, peer('silo', { name: 'birch' }), store)).toBe('RPC_FORBIDDEN');
  });

  test('is refused for methods that are inherited or unknown', async () => {
    const store = await storeWith('enrolled');
    for (const method of ['toString', 'constructor', 'Rounds.other']) {
      expect(await verdict(method, peer('operator'), store)).toBe('RPC_FORBIDDEN');
    }
  });
});
