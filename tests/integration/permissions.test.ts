import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createAuditService, openLogStore, type AuditConfig } from '@medley/audit';
import { MedleyError, sha256, silentLogger, utf8 } from '@medley/kit';
import {
  Admin,
  Audit,
  connect,
  Enrolment,
  Rounds,
  type AdminMethods,
  type Client,
  type ClientTls,
  type RunningServer,
  type Service,
} from '@medley/rpc';
import { TestConsortium } from '../support/aggregator.ts';
import { createTestAuthority } from '../support/certificates.ts';

const DOCUMENT = new URL('../../docs/operate/operators.md', import.meta.url);
const ROLES = ['viewer', 'scientist', 'operator', 'auditor', 'admin'] as const;
const SCOPES = ['read', 'studies', 'models', 'invitations'] as const;
/** Codes of the door; everything else was said by a handler, who was reached. */
const TURNED_AWAY =
  /^(RPC_(UNAUTHENTICATED|FORBIDDEN|TLS_REFUSED|UNAVAILABLE)|PKI_CERTIFICATE_(REVOKED|EXPIRED)|ACCOUNT_DISABLED|TOKEN_INVALID)$/;

const SERVICES = { Enrolment, Rounds, Admin, Audit } as const;
type ServiceName = keyof typeof SERVICES;
type Caller = ClientTls & { readonly token?: string };

let consortium: TestConsortium;
let audit: RunningServer;
let close: () => Promise<void>;
let admin: Client<AdminMethods>;
/** Everyone who may try, by the column of the table that says whether they may; '' for nobody. */
let callers: { readonly who: string; readonly column: string; readonly tls: Caller }[];
/** Method to its cells by column. */
let table: Map<string, Readonly<Record<string, string>>>;

beforeAll(async () => {
  table = readTable(await readFile(DOCUMENT, 'utf8'));
  consortium = await TestConsortium.create(undefined, {
    listen: { enrolment: '127.0.0.1:0', rounds: '127.0.0.1:0', api: '127.0.0.1:0' },
  });
  admin = consortium.admin();
  const store = await openLogStore(consortium.config.database);
  const { keyPem, chainPem, caPem } = {
    ...consortium.authority.issue('audit', 'audit'),
    caPem: consortium.authority.caPem,
  };
  audit = await createAuditService({
    config: { listen: '127.0.0.1:0' } as AuditConfig,
    tls: { keyPem, certChainPem: chainPem, caPem, requireClientCertificate: true },
    store,
    logger: silentLogger,
  });
  close = async () => {
    await audit.close();
    store.close();
  };
  callers = await everyone();
});
afterAll(async () => {
  admin.close();
  await close();
  await consortium.remove();
});

async function everyone(): Promise<typeof callers> {
  const { caPem } = consortium.authority;
  const silo = await consortium.enrol(admin, 'alder');
  const revoked = await consortium.enrol(admin, 'birch');
  await admin.revokeSilo({ silo: 'birch', reason: 'keyCompromise', note: '' });
  const theirs = await createTestAuthority('test');
  const foreign = (role: 'silo' | 'operator', name: string): ClientTls => ({
    caPem,
    certPem: theirs.issue(role, name).certPem,
    keyPem: theirs.issue(role, name).keyPem,
  });
  const old = { nowMs: Date.now() - 10 * 86_400_000, days: 1 };
  const expired = (role: 'silo' | 'operator', name: string): ClientTls => ({
    caPem,
    ...consortium.authority.issue(role, name, old),
  });
  const operators = await Promise.all(
    ROLES.map(async (role) => {
      const tls = consortium.tlsOf('operator', role);
      await admin.addOperator({ name: role, roles: [role], certificatePem: tls.certPem! });
      return { who: role, column: role, tls };
    }),
  );
  const gone = consortium.tlsOf('operator', 'gone');
  await admin.addOperator({ name: 'gone', roles: [...ROLES], certificatePem: gone.certPem! });
  await admin.changeOperator({ name: 'gone', state: 'disabled' });
  const nobody = (who: string, tls: Caller) => ({ who, column: '', tls });
  return [
    { who: 'no certificate', column: 'without certificate', tls: { caPem } },
    { who: 'an enrolled silo', column: 'silo', tls: silo.tls },
    ...operators,
    nobody('a revoked silo', revoked.tls),
    nobody('a silo with another certificate', consortium.tlsOf('silo', 'alder')),
    nobody('a silo that was never enrolled', consortium.tlsOf('silo', 'cedar')),
    nobody('an expired silo', expired('silo', 'alder')),
    nobody('a silo of another authority', foreign('silo', 'alder')),
    nobody('a disabled operator', gone),
    nobody('an operator without account', consortium.tlsOf('operator', 'eve')),
    nobody('an operator with another certificate', consortium.tlsOf('operator', 'admin')),
    nobody('an expired operator', expired('operator', 'ada')),
    nobody('an operator of another authority', foreign('operator', 'ada')),
    nobody('a server', { caPem, ...consortium.authority.issue('audit', 'audit') }),
  ];
}

function readTable(text: string): Map<string, Readonly<Record<string, string>>> {
  const cells = (line: string): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
  const lines = text.slice(text.indexOf('| method')).trim().split('\n').map(cells);
  const [head, , ...rows] = lines;
  return new Map(
    rows.map((row) => [
      row[0]!.replaceAll('`', ''),
      Object.fromEntries(row.map((cell, i) => [head![i]!, cell])),
    ]),
  );
}

const methodsOf = (service: ServiceName): string[] =>
  Object.keys(SERVICES[service].definition()).map(
    (name) => `${service}.${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  );

function addressOf(service: ServiceName): string {
  if (service === 'Audit') return audit.address;
  const { enrolmentAddress, roundsAddress } = consortium.aggregator;
  return service === 'Enrolment' ? enrolmentAddress : roundsAddress;
}

/** Makes every call of a service with empty messages; `true` where a handler was reached. */
async function reached(
  service: ServiceName,
  tls: Caller,
  address = addressOf(service),
): Promise<ReadonlyMap<string, boolean>> {
  const { token, ...rest } = tls;
  const client = connect({
    service: SERVICES[service] as Service<AdminMethods>,
    address,
    tls: rest,
    ...(token !== undefined && { token }),
  }) as unknown as Readonly<Record<string, (request: unknown) => unknown>>;
  const found = new Map<string, boolean>();
  const definition = SERVICES[service].definition();
  for (const [name, method] of Object.entries(definition)) {
    const key = name.charAt(0).toLowerCase() + name.slice(1);
    const answer = client[key]!(method.requestStream ? [] : { protocolVersion: 2 });
    found.set(`${service}.${key}`, !TURNED_AWAY.test(await codeOf(answer)));
  }
  (client['close'] as () => void)();
  return found;
}

/** Code of a call's failure; of a stream, its first message is enough. */
async function codeOf(answer: unknown): Promise<string> {
  try {
    if (answer instanceof Promise) await answer;
    else for await (const _ of answer as AsyncIterable<unknown>) return 'none';
    return 'none';
  } catch (caught) {
    return MedleyError.from(caught).code;
  }
}

const admitted = (found: ReadonlyMap<string, boolean>): string[] =>
  [...found].filter(([, isIn]) => isIn).map(([method]) => method);

describe('the table of docs/operate/operators.md', () => {
  test('has every method of the protocol, and no other', () => {
    const all = (Object.keys(SERVICES) as ServiceName[]).flatMap(methodsOf);
    expect([...table.keys()].sort()).toEqual(all.sort());
  });

  test.each(Object.keys(SERVICES) as ServiceName[])(
    'is what %s does, for everyone',
    async (name) => {
      for (const { who, column, tls } of callers) {
        const expected = methodsOf(name).filter((method) => table.get(method)![column] === 'yes');
        // First contact asks for no certificate, so it refuses none either.
        const open = name === 'Enrolment' ? methodsOf(name) : expected;
        expect([who, admitted(await reached(name, tls))]).toEqual([who, open]);
      }
    },
  );

  test('is what tokens open, on their listener alone', async () => {
    const { caPem } = consortium.authority;
    const address = consortium.aggregator.apiAddress!;
    for (const [i, scope] of SCOPES.entries()) {
      const id = `AAAAAAAAAA${String(i)}`;
      const secret = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0';
      const secretHash = sha256(utf8('medley/token/v1\n'), utf8(secret));
      const expiresMs = String(Date.now() + 60_000);
      await admin.createToken({ id, secretHash, label: scope, scopes: [scope], expiresMs });
      const tls = { caPem, token: `mt_v1.${id}.${secret}` };
      const expected = [...table].filter(([, cells]) => cells['token'] === scope);
      expect(admitted(await reached('Admin', tls, address))).toEqual(
        methodsOf('Admin').filter((method) => expected.some(([one]) => one === method)),
      );
      expect(admitted(await reached('Admin', tls))).toEqual([]);
      await admin.revokeToken({ id });
      expect(admitted(await reached('Admin', tls, address))).toEqual([]);
    }
    expect(admitted(await reached('Admin', { caPem }, address))).toEqual([]);
  });
});
