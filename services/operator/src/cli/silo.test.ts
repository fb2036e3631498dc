import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { toHex, utf8 } from '@medley/kit';
import {
  createCsr,
  createIdentity,
  createTlsKey,
  fingerprintWords,
  invitationSecretHash,
  openIdentity,
  readInvitation,
  signEnrolment,
  verifyIssued,
} from '@medley/pki';
import { startTestConsortium, type TestConsortium } from '../../../../tests/support/operator.ts';
import { CONSORTIUM } from '../../../../tests/support/trail.ts';

let consortium: TestConsortium;
let words: string;
let keyPem: string;

beforeAll(async () => {
  consortium = await startTestConsortium();
  keyPem = (await createTlsKey(2048)).privateKeyPem;
});
afterAll(() => consortium.close());

beforeEach(() => {
  const { admin } = consortium;
  admin.told.length = 0;
  admin.silos = [];
  const csrPem = createCsr({ privateKeyPem: keyPem, consortium: CONSORTIUM, name: 'charite' });
  const identity = openIdentity(createIdentity().privateKeyPem);
  const secretHash = invitationSecretHash(utf8('sixteen bytes !!'));
  const invitation = { silo: 'charite', invitationId: '0011223344556677', secretHash };
  const request = signEnrolment(identity, { ...invitation, csrPem });
  words = fingerprintWords(identity.publicKey).join(' ');
  admin.pending = { requestId: 'r1', fingerprint: words, ...request };
});

const told = (method: string): unknown =>
  consortium.admin.told.find((one) => one.method === method)?.request;

describe('silo invite', () => {
  test('prints a token that its hospital can read, and keeps the secret at home', async () => {
    const { code, out, err } = await consortium.run(['silo', 'invite', 'charite', '--hours', '2']);
    expect(code).toBe(0);
    const invitation = readInvitation(out.trim(), Date.now());
    expect(invitation).toMatchObject({
      silo: 'charite',
      consortium: CONSORTIUM,
      caPin: consortium.authority.caPin,
      endpoints: { enrolment: 'agg.example.org:7443' },
    });
    const order = told('invite') as { secretHash: Uint8Array; expiresMs: string };
    expect(toHex(order.secretHash)).toBe(invitationSecretHash(invitation.secret));
    expect(Number(order.expiresMs)).toBe(invitation.expiresAtMs);
    expect(invitation.expiresAtMs - Date.now()).toBeLessThanOrEqual(2 * 3_600_000);
    expect(err).toContain('medley-agent enroll');
  });

  test('gives silo, token and expiry as JSON', async () => {
    const { code, out } = await consortium.run(['silo', 'invite', 'charite', '--json']);
    expect(code).toBe(0);
    const { silo, token, expires } = JSON.parse(out) as Record<string, string>;
    expect(silo).toBe('charite');
    expect(Date.parse(expires!)).toBe(readInvitation(token!, Date.now()).expiresAtMs);
  });

  test('refuses a name that no certificate could carry', async () => {
    const { err } = await consortium.run(['silo', 'invite', 'Charité']);
    expect(err).toContain('PKI_NAME_INVALID');
    expect(told('invite')).toBeUndefined();
  });
});

describe('silo list', () => {
  test('says what to do when there is none', async () => {
    expect((await consortium.run(['silo', 'list'])).out).toContain('medley silo invite');
    expect(JSON.parse((await consortium.run(['silo', 'list', '--json'])).out)).toEqual({
      silos: [],
    });
  });

  test('shows state, fingerprint, certificate and presence', async () => {
    consortium.admin.silos = [
      { silo: 'charite', state: 'pending', fingerprint: words },
      {
        silo: 'vienna',
        state: 'enrolled',
        certificateExpiresMs: String(Date.UTC(2027, 0, 1)),
        lastSeenMs: String(Date.UTC(2026, 0, 1)),
        attending: true,
      },
    ];
    const { out } = await consortium.run(['silo', 'list']);
    expect(out).toContain(`charite  pending              ${words}`);
    expect(out).toMatch(/vienna +enrolled, attending +– +2027-01-01T00:00:00.000Z +2026-01-01T/);
    const { silos } = JSON.parse((await consortium.run(['silo', 'list', '--json'])).out) as {
      silos: unknown[];
    };
    expect(silos[0]).toEqual({
      silo: 'charite',
      state: 'pending',
      attending: false,
      fingerprint: words,
      certificateExpires: null,
      lastSeen: null,
    });
  });

  test('lets the aggregator neither steer the terminal nor name impossible times', async () => {
    consortium.admin.silos = [{ silo: 'x', state: 'pending', fingerprint: '\u001b[2J' }];
    expect((await consortium.run(['silo', 'list'])).out).not.toContain('\u001b');
    consortium.admin.silos = [{ silo: 'x', lastSeenMs: '18446744073709551615' }];
    expect((await consortium.run(['silo', 'list'])).err).toContain('RPC_MESSAGE_INVALID');
  });
});

describe('silo approve', () => {
  const approve = (...more: readonly string[]) =>
    consortium.run(['silo', 'approve', 'charite', ...more]);

  test('certifies exactly the key that was compared', async () => {
    const file = ['--passphrase-file', consortium.passphraseFile];
    const { code, out } = await approve('--fingerprint', words, '--days', '30', ...file, '--json');
    expect(code).toBe(0);
    const { requestId, certificatePem } = told('approveSilo') as Record<string, string>;
    const { caPem } = consortium.authority;
    const certificate = verifyIssued(certificatePem!, caPem, Date.now(), 'silo');
    expect(requestId).toBe('r1');
    expect(certificate.subject).toEqual({
      consortium: CONSORTIUM,
      role: 'silo',
      name: 'charite',
    });
    expect(JSON.parse(out)).toEqual({
      silo: 'charite',
      state: 'enrolled',
      approvedBy: ['ada'],
      serial: certificate.serial,
      expires: new Date(certificate.notAfterMs).toISOString(),
    });
    const days = (certificate.notAfterMs - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(29.9);
    expect(days).toBeLessThanOrEqual(30);
  });

  test('takes the passphrase file from the environment, too', async () => {
    const env = { MEDLEY_CA_PASSPHRASE_FILE: 'ca.pass' };
    const args = ['silo', 'approve', 'charite', '--fingerprint', words];
    const { code, out } = await consortium.run(args, { env });
    expect(code).toBe(0);
    expect(out).toMatch(/^charite is enrolled; its certificate [0-9a-f]{32} runs until 20/);
  });

  test('says whose approval is still needed', async () => {
    const file = ['--passphrase-file', consortium.passphraseFile];
    const { admin } = consortium;
    const before = admin.approval;
    admin.approval = { state: 'pending', approvedBy: ['ada'], approvalsNeeded: 2 };
    const { code, out } = await approve('--fingerprint', words, ...file);
    admin.approval = before;
    expect(code).toBe(0);
    expect(out).toBe('charite is approved by ada; still needed: 1 other operator\n');
  });

  test('certifies nothing for other words', async () => {
    const file = ['--passphrase-file', consortium.passphraseFile];
    const { code, err } = await approve('--fingerprint', 'bado kelu mina tora zuva gipo', ...file);
    expect(code).toBe(5);
    expect(err).toContain('OPERATOR_FINGERPRINT_DIFFERS');
    expect(err).not.toContain(words.split(' ')[0]);
    expect(told('approveSilo')).toBeUndefined();
  });

  test('certifies nothing for a request that the aggregator changed', async () => {
    const { admin, passphraseFile } = consortium;
    admin.pending = { ...admin.pending, invitationId: 'ffffffffffffffff' };
    const { code, err } = await approve(
      '--fingerprint',
      words,
      '--passphrase-file',
      passphraseFile,
    );
    expect(code).toBe(8);
    expect(err).toContain('OPERATOR_REQUEST_FORGED');
    expect(told('approveSilo')).toBeUndefined();
  });

  test('asks for nothing before there is a passphrase', async () => {
    const { code } = await approve('--fingerprint', words);
    expect(code).toBe(5);
    expect(consortium.admin.told).toEqual([]);
  });
});

describe('silo refuse', () => {
  test('passes the reason on', async () => {
    const args = ['silo', 'refuse', 'charite', '--reason', 'words differ'];
    expect((await consortium.run(args)).out).toBe('the enrolment of charite is refused\n');
    expect(told('refuseSilo')).toEqual({ requestId: 'r1', reason: 'words differ' });
    expect(JSON.parse((await consortium.run([...args, '--json'])).out)).toEqual({
      silo: 'charite',
      state: 'refused',
    });
  });
});
