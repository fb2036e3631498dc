import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock, systemRng } from '@medley/kit';
import {
  buildCrl,
  createCsr,
  createTlsKey,
  issueCertificate,
  leafOf,
  readCertificate,
  readCrl,
  signRenewal,
  verifyIssued,
  type Identity,
} from '@medley/pki';
import type { AdminMethods, Client, ClientTls, EnrolmentMethods } from '@medley/rpc';
import { decodeEvent } from '@medley/trail';
import { codeOf, freshIdentity, TestConsortium, type EnrolledSilo } from '../support/aggregator.ts';

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let second: Client<AdminMethods>;
let door: Client<EnrolmentMethods>;
let nextKeyPem: string;
let count = 0;
let name: string;
let silo: EnrolledSilo;

beforeAll(async () => {
  consortium = await TestConsortium.create();
  admin = consortium.admin();
  door = consortium.enrolment();
  const bob = consortium.tlsOf('operator', 'bob');
  const certificatePem = bob.certPem!;
  await admin.addOperator({ name: 'bob', roles: ['operator'], certificatePem });
  second = consortium.admin(bob);
  nextKeyPem = (await createTlsKey(2048)).privateKeyPem;
});
afterAll(async () => {
  for (const client of [admin, second, door]) client.close();
  await consortium.remove();
});
beforeEach(async () => {
  name = `silo-${String(++count)}`;
  silo = await consortium.enrol(admin, name);
});

const serialOf = (tls: ClientTls): string => readCertificate(leafOf(tls.certPem!)).serial;

function renewalOf(of: EnrolledSilo, identity: Identity = of.identity, after = serialOf(of.tls)) {
  const csrPem = createCsr({ privateKeyPem: nextKeyPem, consortium: 'test', name: of.name });
  return signRenewal(identity, { silo: of.name, csrPem, after });
}

async function listStudies(tls: ClientTls): Promise<string> {
  const client = consortium.rounds(tls);
  const code = await codeOf(client.listStudies({}));
  client.close();
  return code;
}

async function lastLeaf(): Promise<ReturnType<typeof decodeEvent>> {
  const { log } = consortium.store.tables;
  const size = await log.count();
  return decodeEvent((await log.range(size - 1, size))[0]!.leaf);
}

describe('renewal', () => {
  test('gives the next certificate, honoured at once, and the old one for its overlap', async () => {
    const request = renewalOf(silo);
    const reply = await door.renewCertificate(request);
    const { caPem } = consortium.authority;
    const renewed = verifyIssued(reply.certificatePem, caPem, Date.now(), 'silo');
    const days = (renewed.notAfterMs - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6.9);
    expect(reply).toMatchObject({ caPem, crossPem: '' });
    const tls = { caPem, certPem: reply.certificatePem, keyPem: nextKeyPem };
    expect(await listStudies(tls)).toBe('none');
    expect(await listStudies(silo.tls)).toBe('none');
    expect(await lastLeaf()).toMatchObject({
      type: 'silo.renewed',
      actor: { kind: 'silo', id: name },
      data: { certificateSerial: renewed.serial, previousSerial: serialOf(silo.tls) },
    });
    const old = (await consortium.store.tables.certificates.get(serialOf(silo.tls)))!;
    expect(old.untilMs).toBeLessThanOrEqual(Date.now() + 3_600_000);
    await consortium.store.tables.certificates.put({ ...old, untilMs: 1 });
    expect(await listStudies(silo.tls)).toBe('PKI_CERTIFICATE_EXPIRED');
    const size = await consortium.store.tables.log.count();
    expect(await door.renewCertificate(request)).toEqual(reply);
    expect(await consortium.store.tables.log.count()).toBe(size);
    // A broken agent that renews for ever must not fill the log.
    const soon = renewalOf(silo, silo.identity, renewed.serial);
    expect(await codeOf(door.renewCertificate(soon))).toBe('RENEWAL_EARLY');
  });

  test('works with an expired certificate, for the identity key counts', async () => {
    const { certificates } = consortium.store.tables;
    const row = (await certificates.get(serialOf(silo.tls)))!;
    await certificates.put({ ...row, untilMs: 1 });
    expect(await listStudies(silo.tls)).toBe('PKI_CERTIFICATE_EXPIRED');
    const { certificatePem: certPem } = await door.renewCertificate(renewalOf(silo));
    expect(await listStudies({ ...silo.tls, certPem, keyPem: nextKeyPem })).toBe('none');
  });

  test('is refused without the silo\u2019s own identity key and certificate', async () => {
    const other = await consortium.enrol(admin, `${name}-b`);
    const refused = async (request: ReturnType<typeof renewalOf>): Promise<string> =>
      codeOf(door.renewCertificate(request));
    expect(await refused(renewalOf(silo, freshIdentity()))).toBe('RENEWAL_REFUSED');
    expect(await refused(renewalOf(silo, other.identity))).toBe('RENEWAL_REFUSED');
    expect(await refused(renewalOf(silo, silo.identity, 'ff'))).toBe('RENEWAL_REFUSED');
    expect(await refused(renewalOf(silo, silo.identity, serialOf(other.tls)))).toBe(
      'RENEWAL_REFUSED',
    );
    expect(await refused({ ...renewalOf(silo), silo: other.name })).toBe('PKI_RENEWAL_INVALID');
    expect(await refused({ ...renewalOf(silo), signature: new Uint8Array(64) })).toBe(
      'PKI_SIGNATURE_INVALID',
    );
  });
});

describe('revocation', () => {
  const revoke = (reason = 'keyCompromise') =>
    admin.revokeSilo({ silo: name, reason, note: 'laptop stolen' });

  test('ends every certificate, renewal and open stream of the silo at once', async () => {
    const { certificatePem: certPem } = await door.renewCertificate(renewalOf(silo));
    const tls = { ...silo.tls, certPem, keyPem: nextKeyPem };
    const client = consortium.rounds(tls);
    const assignments = client.attend({ agentVersion: 'test', protocolVersion: 2 });
    const stream = assignments[Symbol.asyncIterator]();
    expect((await stream.next()).value).toMatchObject({ heartbeat: { leaseMs: 15_000 } });
    const { serials } = await revoke();
    expect([...serials].sort()).toEqual([serialOf(silo.tls), serialOf(tls)].sort());
    const rest = async (): Promise<void> => {
      while ((await stream.next()).done !== true);
    };
    expect(await codeOf(rest())).toBe('PKI_CERTIFICATE_REVOKED');
    expect(await codeOf(client.listStudies({}))).toBe('PKI_CERTIFICATE_REVOKED');
    expect(await listStudies(silo.tls)).toBe('PKI_CERTIFICATE_REVOKED');
    client.close();
    expect(await codeOf(door.renewCertificate(renewalOf(silo)))).toBe('RENEWAL_REFUSED');
    expect(await lastLeaf()).toMatchObject({
      type: 'silo.revoked',
      actor: { kind: 'operator', id: 'ada' },
      data: { silo: name, reason: 'keyCompromise: laptop stolen' },
    });
    expect((await revoke()).serials).toEqual(serials);
  });

  test('publishes two lists: the authority\u2019s, signed at home, and that of the renewals', async () => {
    const { certificatePem: certPem } = await door.renewCertificate(renewalOf(silo));
    await revoke('cessationOfOperation');
    const { authority } = consortium.authority;
    const { revoked } = await admin.listRevocations({});
    const listOf = (issuer: string) =>
      revoked
        .filter((one) => one.issuer === issuer)
        .map(({ serial, atMs, reason }) => ({ serial, atMs: Number(atMs), reason }) as never);
    const nowMs = Date.now();
    const list = (number: number, entries = listOf('authority')): string =>
      buildCrl({ authority, revoked: entries, nowMs, nextUpdateMs: nowMs + 1e8, number });
    await admin.publishRevocations({ crlPem: list(5) });
    const { crlPem } = await door.getRevocations({});
    const [published, own] = crlPem as [string, string];
    expect(readCrl(published, authority.certificatePem).revoked).toContainEqual(
      expect.objectContaining({ serial: serialOf(silo.tls), reason: 'cessationOfOperation' }),
    );
    const { certificatePem } = consortium.authority.renewals();
    expect(readCrl(own, certificatePem).revoked).toContainEqual(
      expect.objectContaining({ serial: readCertificate(leafOf(certPem)).serial }),
    );
    const publish = (crl: string): Promise<string> =>
      codeOf(admin.publishRevocations({ crlPem: crl }));
    expect(await publish(list(5, []))).toBe('PKI_CRL_INVALID');
    expect(await publish(list(6, []))).toBe('PKI_CRL_INVALID');
    expect(await publish(own)).toBe('PKI_CRL_INVALID');
    expect(await publish(list(6))).toBe('none');
  });

  test('lets the hospital come back with a new identity only', async () => {
    await revoke();
    const invitation = await consortium.invite(admin, name);
    const again = consortium.requestOf(invitation, silo.identity);
    expect(await codeOf(door.requestEnrolment(again))).toBe('PKI_CERTIFICATE_REVOKED');
    const elsewhere = await consortium.invite(admin, `${name}-b`);
    const moved = consortium.requestOf(elsewhere, silo.identity);
    expect(await codeOf(door.requestEnrolment(moved))).toBe('PKI_CERTIFICATE_REVOKED');
    const anew = await consortium.enrol(admin, name);
    expect(await listStudies(anew.tls)).toBe('none');
    expect(await listStudies(silo.tls)).toBe('PKI_CERTIFICATE_REVOKED');
  });

  test('knows silos and reasons', async () => {
    const order = { silo: name, reason: 'keyCompromise', note: '' };
    expect(await codeOf(admin.revokeSilo({ ...order, silo: 'nobody' }))).toBe('SILO_UNKNOWN');
    expect(await codeOf(admin.revokeSilo({ ...order, reason: 'dislike' }))).toBe('USAGE');
  });
});

describe('operators', () => {
  test('have what their accounts say, from the next call on', async () => {
    expect(await codeOf(second.listSilos({}))).toBe('none');
    expect(await codeOf(second.listOperators({}))).toBe('RPC_FORBIDDEN');
    await admin.changeOperator({ name: 'bob', roles: ['operator', 'auditor'] });
    expect((await second.listOperators({})).operators.map((one) => one.roles.length)).toEqual([
      5, 2,
    ]);
    const watching = second.watchStudy({ study: 'none' })[Symbol.asyncIterator]();
    expect(await codeOf(watching.next())).toBe('STUDY_UNKNOWN');
    await admin.changeOperator({ name: 'bob', state: 'disabled' });
    expect(await codeOf(second.listSilos({}))).toBe('ACCOUNT_DISABLED');
    await admin.changeOperator({ name: 'bob', state: 'active' });
    expect(await codeOf(second.listSilos({}))).toBe('none');
    // Another certificate of the same name than the one that the account was made with.
    const other = consortium.admin(consortium.tlsOf('operator', 'bob'));
    expect(await codeOf(other.listSilos({}))).toBe('PKI_CERTIFICATE_REVOKED');
    other.close();
  });

  test('always include an administrator, and no account without a sound certificate', async () => {
    const last = { name: 'ada', roles: ['viewer'] };
    expect(await codeOf(admin.changeOperator(last))).toBe('ACCOUNT_LAST_ADMIN');
    expect(await codeOf(admin.changeOperator({ name: 'ada', state: 'disabled' }))).toBe(
      'ACCOUNT_LAST_ADMIN',
    );
    const add = (certificatePem: string, roles = ['viewer']): Promise<string> =>
      codeOf(admin.addOperator({ name: 'cy', roles, certificatePem }));
    expect(await add(consortium.tlsOf('operator', 'dee').certPem!)).toBe('ENROLMENT_CERTIFICATE');
    expect(await add(consortium.tlsOf('silo', 'cy').certPem!)).toBe('PKI_CERTIFICATE_PURPOSE');
    expect(await add(consortium.tlsOf('operator', 'cy').certPem!, ['king'])).toBe(
      'ACCOUNT_INVALID',
    );
    expect(await add(consortium.tlsOf('operator', 'cy').certPem!, [])).toBe('ACCOUNT_INVALID');
    const again = { name: 'bob', roles: ['viewer'] };
    const certificatePem = consortium.tlsOf('operator', 'bob').certPem!;
    expect(await codeOf(admin.addOperator({ ...again, certificatePem }))).toBe('ACCOUNT_EXISTS');
  });
});

describe('four eyes', () => {
  test('approve a silo: two different operators, one of them with the authority', async () => {
    const strict = await TestConsortium.create(undefined, {
      approvals: 2,
      founders: ['ada', 'bob'],
    });
    try {
      const [ada, bob] = ['ada', 'bob'].map((one) =>
        strict.admin(strict.tlsOf('operator', one)),
      ) as [typeof admin, typeof admin];
      const client = strict.enrolment();
      const invitation = await strict.invite(ada, 'alder');
      const request = strict.requestOf(invitation, freshIdentity());
      const { requestId } = await client.requestEnrolment(request);
      const certificatePem = strict.issueFor('alder', request.csrPem);
      const first = await ada.approveSilo({ requestId, certificatePem });
      expect(first).toMatchObject({ state: 'pending', approvedBy: ['ada'], approvalsNeeded: 2 });
      expect(await ada.approveSilo({ requestId, certificatePem })).toEqual(first);
      expect(await bob.getEnrolment({ silo: 'alder' })).toMatchObject({
        approvedBy: ['ada'],
        hasCertificate: true,
      });
      const done = await bob.approveSilo({ requestId, certificatePem: '' });
      expect(done).toMatchObject({ state: 'enrolled', approvedBy: ['ada', 'bob'] });
      const { log } = strict.store.tables;
      const types = (await log.range(0, 99)).map(({ leaf }) => decodeEvent(leaf).type);
      expect(types.slice(-2)).toEqual(['silo.endorsed', 'silo.approved']);
      for (const open of [ada, bob, client]) open.close();
    } finally {
      await strict.remove();
    }
  });

  test('need a certificate in the end', async () => {
    const invitation = await consortium.invite(admin, `${name}-c`);
    const request = consortium.requestOf(invitation, freshIdentity());
    const { requestId } = await door.requestEnrolment(request);
    const empty = await admin.approveSilo({ requestId, certificatePem: '' });
    expect(empty.state).toBe('pending');
    const certificatePem = issueCertificate({
      authority: consortium.authority.authority,
      subject: { consortium: 'test', role: 'silo', name: `${name}-c` },
      csrPem: request.csrPem,
      nowMs: systemClock.nowMs(),
      days: 1,
      rng: systemRng,
    }).certificatePem;
    const renewed = certificatePem + consortium.authority.renewals().certificatePem;
    expect(await codeOf(admin.approveSilo({ requestId, certificatePem: renewed }))).toBe(
      'PKI_CERTIFICATE_INVALID',
    );
    expect((await second.approveSilo({ requestId, certificatePem })).state).toBe('enrolled');
  });
});
