import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { sha256, utf8, writeDurably } from '@medley/kit';
import { readCertificate, readCrl, readIssuer, verifyIssued } from '@medley/pki';
import {
  runMedley,
  startTestConsortium,
  type TestConsortium,
} from '../../../../tests/support/operator.ts';
import { openHome } from '../home.ts';

let consortium: TestConsortium;
let file: readonly string[];
beforeAll(async () => {
  consortium = await startTestConsortium();
  file = ['--passphrase-file', consortium.passphraseFile];
});
afterAll(() => consortium.close());
beforeEach(() => {
  consortium.admin.told.length = 0;
});

const told = (method: string): Record<string, unknown> | undefined =>
  consortium.admin.told.find((one) => one.method === method)?.request as never;
/** Under another home than the consortium's own. */
const elsewhere = (...args: readonly string[]) => runMedley(args, { cwd: consortium.folder });
const at = (name: string): string => join(consortium.folder, name);

describe('a second operator', () => {
  test('makes the key at home, is certified, and has a home that works', async () => {
    const home = ['--home', at('bob')];
    const requested = await elsewhere(
      ...['operator', 'request', 'bob', '--consortium', consortium.authority.consortium],
      ...['--out', 'bob.csr.pem', ...home],
    );
    expect(requested.code).toBe(0);
    expect((await stat(at('bob/operator.key.pem'))).mode & 0o777).toBe(0o600);
    const added = await consortium.run([
      ...['operator', 'add', 'bob', '--request', 'bob.csr.pem', '--roles', 'operator,auditor'],
      ...['--out', 'bob.json', ...file],
    ]);
    expect(added.err + added.out).toContain('bob has an account');
    const order = told('addOperator')!;
    const { caPem, caPin } = consortium.authority;
    const certificate = verifyIssued(order['certificatePem'] as string, caPem, Date.now());
    expect(certificate.subject).toMatchObject({ role: 'operator', name: 'bob' });
    expect(order['roles']).toEqual(['operator', 'auditor']);
    const accepted = await elsewhere('operator', 'accept', 'bob.json', ...home);
    expect(accepted.out).toContain(caPin);
    const opened = await openHome(at('bob'));
    expect(opened).toMatchObject({ caPem, config: { operator: 'bob' } });
    expect((await elsewhere('silo', 'list', ...home)).code).toBe(0);
  });

  test('accepts no answer for another key, and asks once in a home', async () => {
    const request = ['operator', 'request', 'eve', '--consortium', 'x', '--out', 'eve.csr.pem'];
    const home = ['--home', at('eve')];
    expect((await elsewhere(...request, ...home)).code).toBe(0);
    expect((await elsewhere(...request, ...home)).err).toContain('OPERATOR_HOME_EXISTS');
    const other = await elsewhere('operator', 'accept', 'bob.json', ...home);
    expect(other.err).toContain('OPERATOR_ADMITTANCE');
    await writeDurably(at('no.json'), '{}');
    const empty = await elsewhere('operator', 'accept', 'no.json', ...home);
    expect(empty.err).toContain('OPERATOR_ADMITTANCE');
  });

  test('can be listed, changed and disabled', async () => {
    consortium.admin.operators = [{ name: 'bob', roles: ['viewer'], state: 'active' }];
    const { out } = await consortium.run(['operator', 'list']);
    expect(out).toMatch(/bob +active +viewer +any of this name/);
    expect(out).toContain('It takes 2 of them');
    await consortium.run(['operator', 'change', 'bob', '--roles', 'viewer', '--disable']);
    expect(told('changeOperator')).toEqual({
      name: 'bob',
      roles: ['viewer'],
      state: 'disabled',
      certificatePem: '',
    });
  });
});

describe('tokens', () => {
  test('are printed once and known to the aggregator by hash', async () => {
    const args = ['token', 'create', '--label', 'report', '--scopes', 'read,models', '--days', '2'];
    const { out } = await consortium.run(args);
    const [, id, secret] = /^mt_v1\.([A-Za-z0-9_-]{11})\.([A-Za-z0-9_-]{32})\n$/.exec(out)!;
    const order = told('createToken')!;
    expect(order).toMatchObject({ id, label: 'report', scopes: ['read', 'models'] });
    const hash = sha256(utf8('medley/token/v1\n'), utf8(secret!));
    expect(new Uint8Array(order['secretHash'] as Uint8Array)).toEqual(hash);
    expect(Number(order['expiresMs']) - Date.now()).toBeLessThanOrEqual(2 * 86_400_000);
    consortium.admin.tokens = [{ id: 'x', operator: 'ada', scopes: ['read'], expiresMs: '1' }];
    expect((await consortium.run(['token', 'list'])).out).toMatch(/x +ada +read +expired/);
    await consortium.run(['token', 'revoke', 'x']);
    expect(told('revokeToken')).toEqual({ id: 'x' });
  });
});

describe('silo revoke', () => {
  test('takes effect first and publishes the list where it can', async () => {
    const args = ['silo', 'revoke', 'charite', '--reason', 'keyCompromise', '--note', 'stolen'];
    const without = await consortium.run(args);
    expect(without.err).toContain('medley silo crl');
    expect(told('revokeSilo')).toEqual({
      silo: 'charite',
      reason: 'keyCompromise',
      note: 'stolen',
    });
    expect(told('publishRevocations')).toBeUndefined();
    consortium.admin.revocations = [
      { silo: 'charite', serial: '0a', issuer: 'authority', atMs: '1000', reason: 'superseded' },
      { silo: 'charite', serial: '0b', issuer: 'renewals', atMs: '1000', reason: 'superseded' },
    ];
    const { out } = await consortium.run([...args, ...file, '--json']);
    expect(JSON.parse(out)).toMatchObject({ silo: 'charite', listPublished: true });
    const { caPem } = consortium.authority;
    const list = readCrl(told('publishRevocations')!['crlPem'] as string, caPem);
    expect(list.revoked).toEqual([{ serial: '0a', atMs: 1000, reason: 'superseded' }]);
  });

  test('knows the reasons of RFC 5280, and signs no malformed list', async () => {
    const wrong = await consortium.run(['silo', 'revoke', 'charite', '--reason', 'dislike']);
    expect(wrong.code).toBe(2);
    consortium.admin.revocations = [{ serial: 'x', issuer: 'authority', reason: 'superseded' }];
    expect((await consortium.run(['silo', 'crl', ...file])).err).toContain('RPC_MESSAGE_INVALID');
    consortium.admin.revocations = [];
  });
});

describe('certificates that people renew', () => {
  test('the renewal authority keeps its key', async () => {
    const { authority } = consortium.authority;
    const { certificatePem } = consortium.authority.renewals();
    await writeDurably(at('renewal.pem'), certificatePem);
    const renew = ['consortium', 'renewals', '--certificate', 'renewal.pem', ...file];
    expect((await consortium.run([...renew, '--days', '30'])).code).toBe(0);
    const now = readIssuer(await readFile(at('renewal.pem'), 'utf8'));
    expect(now.spkiSha256).toBe(readIssuer(certificatePem).spkiSha256);
    expect((now.notAfterMs - Date.now()) / 86_400_000).toBeLessThanOrEqual(30);
    await writeDurably(at('renewal.pem'), authority.certificatePem);
    expect((await consortium.run(renew)).err).toContain('PKI_AUTHORITY_INVALID');
  });

  test('a server keeps name, hosts and key, and shows its authority', async () => {
    const before = consortium.authority.issue('aggregator', 'aggregator');
    await writeDurably(at('tls.pem'), before.chainPem);
    const { code } = await consortium.run(['consortium', 'certify', 'tls.pem', ...file]);
    expect(code).toBe(0);
    const chain = await readFile(at('tls.pem'), 'utf8');
    const { caPem } = consortium.authority;
    expect(chain.endsWith(caPem)).toBe(true);
    const leaf = chain.slice(0, -caPem.length);
    const now = verifyIssued(leaf, caPem, Date.now(), 'aggregator');
    expect(now.spkiSha256).toBe(readCertificate(before.certPem).spkiSha256);
    expect(now.serial).not.toBe(before.serial);
    expect((now.notAfterMs - Date.now()) / 86_400_000).toBeGreaterThan(364);
    await writeDurably(at('silo.pem'), consortium.authority.issue('silo', 'charite').certPem);
    expect((await consortium.run(['consortium', 'certify', 'silo.pem', ...file])).code).toBe(2);
  });
});
