import { Metadata } from '@grpc/grpc-js';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock, MedleyError } from '@medley/kit';
import { Admin, Enrolment, Rounds, type CallContext, type Peer } from '@medley/rpc';
import { certificate, operator, silo, token } from '../../../../tests/contract/storeRows.ts';
import { tokenHash } from '../accounts/tokens.ts';
import { memoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { authorise } from './access.ts';
import { OPERATOR_ROLES, PERMISSIONS, TOKEN_SCOPES } from './permission.ts';
import { Sessions } from './sessions.ts';

const methods = [Enrolment, Rounds, Admin].flatMap((service) =>
  Object.keys(service.definition()).map(
    (name) => `${service.name}.${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  ),
);
const operators = methods.filter((method) => method.startsWith('Admin.'));
const SECRET = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0';

let store: Store;
let sessions: Sessions;
let clock: ManualClock;

beforeEach(async () => {
  clock = new ManualClock(1000);
  store = memoryStore();
  sessions = new Sessions();
  const { silos, certificates } = store.tables;
  await silos.put(silo('alder', { state: 'enrolled' }));
  await certificates.put(certificate('0a', 'alder', { untilMs: 2000 }));
  await store.tables.operators.put(operator('ada', { roles: OPERATOR_ROLES }));
});

const peer = (role: Peer['role'], change: Partial<Peer> = {}): Peer => ({
  role,
  name: role === 'operator' ? 'ada' : 'alder',
  consortium: 'test',
  serial: '0a',
  ...change,
});

function call(
  method: string,
  who: Peer | undefined,
  bearer?: string,
): ReturnType<typeof authorise> {
  const metadata = new Metadata();
  if (bearer !== undefined) metadata.set('authorization', `Bearer ${bearer}`);
  const context = { method, peer: who, metadata } as CallContext;
  return authorise({ store, consortium: 'test', clock, sessions }, context);
}

async function verdict(method: string, who: Peer | undefined, bearer?: string): Promise<string> {
  try {
    await call(method, who, bearer);
    return 'admitted';
  } catch (caught) {
    return (caught as { code: string }).code;
  }
}

describe('access', () => {
  test('is settled for every method of the three services, and for no other', () => {
    expect(Object.keys(PERMISSIONS).sort()).toEqual([...methods].sort());
  });

  test.each(methods)('%s admits exactly its kind of caller', async (method) => {
    const wanted = PERMISSIONS[method]!.caller;
    for (const role of ['silo', 'operator', 'aggregator', 'audit'] as const) {
      const expected = wanted === 'anyone' || wanted === role ? 'admitted' : 'RPC_FORBIDDEN';
      expect(await verdict(method, peer(role))).toBe(expected);
    }
    expect(await verdict(method, undefined)).toBe(
      wanted === 'anyone' ? 'admitted' : 'RPC_UNAUTHENTICATED',
    );
    if (wanted === 'anyone') return;
    expect(await verdict(method, peer(wanted, { consortium: 'other' }))).toBe('RPC_FORBIDDEN');
  });

  test('ends for a silo that is revoked, unknown, expired or shows a certificate of another', async () => {
    const method = 'Rounds.advertise';
    expect(await verdict(method, peer('silo', { serial: '0b' }))).toBe('RPC_FORBIDDEN');
    expect(await verdict(method, peer('silo', { name: 'birch' }))).toBe('RPC_FORBIDDEN');
    clock.advance(1001);
    expect(await verdict(method, peer('silo'))).toBe('PKI_CERTIFICATE_EXPIRED');
    const revoked = certificate('0a', 'alder', { untilMs: 9e15, revokedMs: 3 });
    await store.tables.certificates.put(revoked);
    expect(await verdict(method, peer('silo'))).toBe('PKI_CERTIFICATE_REVOKED');
    await store.tables.certificates.put({ ...revoked, revokedMs: undefined });
    expect(await verdict(method, peer('silo'))).toBe('admitted');
    await store.tables.silos.put(silo('alder', { state: 'revoked' }));
    expect(await verdict(method, peer('silo'))).toBe('RPC_FORBIDDEN');
  });

  test('ends for an operator without account, disabled, or with another certificate', async () => {
    const method = 'Admin.listSilos';
    expect(await verdict(method, peer('operator', { name: 'bob' }))).toBe('RPC_FORBIDDEN');
    const { operators: accounts } = store.tables;
    await accounts.put(operator('ada', { certificateSerial: '0b' }));
    expect(await verdict(method, peer('operator'))).toBe('PKI_CERTIFICATE_REVOKED');
    await accounts.put(operator('ada', { certificateSerial: '0a' }));
    expect(await verdict(method, peer('operator'))).toBe('admitted');
    await accounts.put(operator('ada', { state: 'disabled' }));
    expect(await verdict(method, peer('operator'))).toBe('ACCOUNT_DISABLED');
  });

  test('is refused for methods that are inherited or unknown', async () => {
    for (const method of ['toString', 'constructor', 'Rounds.other']) {
      expect(await verdict(method, peer('operator'))).toBe('RPC_FORBIDDEN');
    }
  });

  test('ends open calls with the reason of its end', async () => {
    const admitted = await call('Rounds.attend', peer('silo'));
    const reason = new MedleyError('PKI_CERTIFICATE_REVOKED', 'alder');
    sessions.end('silo', 'birch', reason);
    expect(admitted?.until?.aborted).toBe(false);
    sessions.end('silo', 'alder', reason);
    expect(admitted?.until?.reason).toBe(reason);
    expect((await call('Rounds.attend', peer('silo')))?.until?.aborted).toBe(false);
  });
});

describe('a token', () => {
  const bearer = `mt_v1.AAAAAAAAAAA.${SECRET}`;
  const give = (change: Parameters<typeof token>[2] = {}): Promise<void> =>
    store.tables.tokens.put(
      token('AAAAAAAAAAA', 'ada', {
        secretHash: tokenHash(SECRET),
        expiresMs: 9e15,
        scopes: TOKEN_SCOPES,
        ...change,
      }),
    );

  test.each(operators)('opens %s for its scope alone, and never an approval', async (method) => {
    const permission = PERMISSIONS[method]!;
    const wanted = permission.caller === 'operator' ? permission.scope : undefined;
    for (const scope of TOKEN_SCOPES) {
      await give({ scopes: [scope] });
      const expected = scope === wanted ? 'admitted' : 'RPC_FORBIDDEN';
      expect(await verdict(method, undefined, bearer)).toBe(expected);
    }
  });

  test('is worth no more than its operator', async () => {
    await give();
    expect(await verdict('Admin.getModel', undefined, bearer)).toBe('admitted');
    await store.tables.operators.put(operator('ada', { roles: ['viewer'] }));
    expect(await verdict('Admin.getModel', undefined, bearer)).toBe('RPC_FORBIDDEN');
    await store.tables.operators.put(operator('ada', { state: 'disabled' }));
    expect(await verdict('Admin.listSilos', undefined, bearer)).toBe('ACCOUNT_DISABLED');
  });

  test('is refused when unknown, guessed, revoked, expired or for a silo\u2019s calls', async () => {
    const method = 'Admin.listSilos';
    expect(await verdict(method, undefined, bearer)).toBe('TOKEN_INVALID');
    await give();
    expect((await call(method, undefined, bearer))?.peer).toMatchObject({ name: 'ada' });
    for (const wrong of ['', 'mt_v1', bearer.replace(/.$/, '1'), `${bearer}0`]) {
      expect(await verdict(method, undefined, wrong)).toBe('TOKEN_INVALID');
    }
    expect(await verdict('Rounds.attend', undefined, bearer)).toBe('RPC_UNAUTHENTICATED');
    await give({ revokedMs: 5 });
    expect(await verdict(method, undefined, bearer)).toBe('TOKEN_INVALID');
    await give({ expiresMs: clock.nowMs() });
    expect(await verdict(method, undefined, bearer)).toBe('TOKEN_INVALID');
  });
});
