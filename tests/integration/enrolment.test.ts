import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemRng, toHex } from '@medley/kit';
import { issueCertificate, signStatement } from '@medley/pki';
import type { AdminMethods, Client, EnrolmentMethods } from '@medley/rpc';
import { codeOf, freshIdentity, TestConsortium } from '../support/aggregator.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let client: Client<EnrolmentMethods>;
let theirs: TestAuthority;
let count = 0;
let silo: string;
beforeAll(async () => {
  consortium = await TestConsortium.create();
  admin = consortium.admin();
  client = consortium.enrolment();
  theirs = await createTestAuthority('test');
});
afterAll(async () => {
  admin.close();
  client.close();
  await consortium.remove();
});
beforeEach(() => {
  silo = `silo-${String(++count)}`;
});

const request = (
  invitation: Parameters<TestConsortium['requestOf']>[0],
  identity = freshIdentity(),
) => consortium.requestOf(invitation, identity);

describe('enrolment', () => {
  test('shows both sides the same six words and gives the certificate after the approval', async () => {
    const identity = freshIdentity();
    const invitation = await consortium.invite(admin, silo);
    const receipt = await client.requestEnrolment(request(invitation, identity));
    expect(receipt.fingerprint.split(' ')).toHaveLength(6);
    const collect = {
      requestId: receipt.requestId,
      ...signStatement(identity, 'collect', { requestId: receipt.requestId }),
    };
    expect((await client.collectEnrolment(collect)).state).toBe('PENDING');
    const pending = await admin.getEnrolment({ silo });
    expect(pending.fingerprint).toBe(receipt.fingerprint);
    const certificatePem = consortium.issueFor(silo, pending.csrPem);
    const approval = { requestId: receipt.requestId, certificatePem };
    await admin.approveSilo(approval);
    await admin.approveSilo(approval);
    const { state, caPem } = await client.collectEnrolment(collect);
    expect([state, caPem]).toEqual(['APPROVED', consortium.authority.caPem]);
    const { silos } = await admin.listSilos({});
    expect(silos.find((one) => one.silo === silo)).toMatchObject({
      state: 'enrolled',
      attending: false,
    });
    expect(await codeOf(consortium.invite(admin, silo))).toBe('SILO_ENROLLED');
  });

  test('gives the same request the same answer, and another one under the same token none', async () => {
    const invitation = await consortium.invite(admin, silo);
    const signed = request(invitation);
    const first = await client.requestEnrolment(signed);
    expect(await client.requestEnrolment(signed)).toEqual(first);
    expect(await codeOf(client.requestEnrolment(request(invitation)))).toBe('PKI_INVITATION_USED');
  });

  test('refuses a token that is unknown, guessed, of another silo or expired', async () => {
    const invitation = await consortium.invite(admin, silo);
    const wrong = { ...invitation, secret: systemRng.bytes(16) };
    expect(await codeOf(client.requestEnrolment(request(wrong)))).toBe('PKI_INVITATION_INVALID');
    const unknown = { ...invitation, id: toHex(systemRng.bytes(8)) };
    expect(await codeOf(client.requestEnrolment(request(unknown)))).toBe('PKI_INVITATION_INVALID');
    const other = { ...invitation, silo: 'somebody-else' };
    expect(await codeOf(client.requestEnrolment(request(other)))).toBe('PKI_INVITATION_INVALID');
    const row = (await consortium.store.tables.invitations.get(invitation.id))!;
    await consortium.store.tables.invitations.put({ ...row, expiresMs: 1 });
    expect(await codeOf(client.requestEnrolment(request(invitation)))).toBe(
      'PKI_INVITATION_EXPIRED',
    );
    expect(await consortium.store.tables.silos.get(silo)).toMatchObject({ state: 'invited' });
  });

  test('refuses a request that its own identity key did not sign, and a key of another silo', async () => {
    const invitation = await consortium.invite(admin, silo);
    const signed = request(invitation);
    const forged = { ...signed, identityKey: freshIdentity().publicKey };
    expect(await codeOf(client.requestEnrolment(forged))).toBe('PKI_SIGNATURE_INVALID');
    const identity = freshIdentity();
    const second = await consortium.invite(admin, `${silo}-b`);
    const { requestId } = await client.requestEnrolment(request(second, identity));
    const { csrPem } = await admin.getEnrolment({ silo: `${silo}-b` });
    await admin.approveSilo({
      requestId,
      certificatePem: consortium.issueFor(`${silo}-b`, csrPem),
    });
    expect(await codeOf(client.requestEnrolment(request(invitation, identity)))).toBe(
      'PKI_ENROLMENT_INVALID',
    );
  });

  test('approves only with a certificate of the consortium for that very request', async () => {
    const invitation = await consortium.invite(admin, silo);
    const { requestId } = await client.requestEnrolment(request(invitation));
    const { csrPem } = await admin.getEnrolment({ silo });
    const approve = (certificatePem: string): Promise<string> =>
      codeOf(admin.approveSilo({ requestId, certificatePem }));
    const base = {
      subject: { consortium: 'test', role: 'silo', name: silo } as const,
      nowMs: Date.now(),
      days: 1,
      rng: systemRng,
    };
    const foreign = issueCertificate({ ...base, authority: theirs.authority, csrPem });
    expect(await approve(foreign.certificatePem)).toBe('PKI_CERTIFICATE_FOREIGN');
    // The authority's helper issues for a key of its own.
    expect(await approve(consortium.authority.issue('silo', silo).certPem)).toBe(
      'ENROLMENT_CERTIFICATE',
    );
    expect(await approve(consortium.authority.issue('silo', 'another').certPem)).toBe(
      'ENROLMENT_CERTIFICATE',
    );
    expect(await approve(consortium.authority.issue('operator', silo).certPem)).toBe(
      'PKI_CERTIFICATE_PURPOSE',
    );
    expect(await approve('nonsense')).toBe('PKI_CERTIFICATE_INVALID');
    expect(await consortium.store.tables.silos.get(silo)).toMatchObject({ state: 'pending' });
  });

  test('tells a refused silo why, and nobody else anything', async () => {
    const identity = freshIdentity();
    const invitation = await consortium.invite(admin, silo);
    const { requestId } = await client.requestEnrolment(request(invitation, identity));
    await admin.refuseSilo({ requestId, reason: 'the words differ' });
    const collected = await client.collectEnrolment({
      requestId,
      ...signStatement(identity, 'collect', { requestId }),
    });
    expect(collected).toMatchObject({
      state: 'REFUSED',
      reason: 'the words differ',
      certificatePem: '',
    });
    const stranger = signStatement(freshIdentity(), 'collect', { requestId });
    expect(await codeOf(client.collectEnrolment({ requestId, ...stranger }))).toBe(
      'ENROLMENT_UNKNOWN',
    );
    expect(await codeOf(client.collectEnrolment({ requestId: 'none', ...stranger }))).toBe(
      'ENROLMENT_UNKNOWN',
    );
    expect(await codeOf(admin.approveSilo({ requestId, certificatePem: 'x' }))).toBe(
      'ENROLMENT_DECIDED',
    );
  });

  test('may be tried again with a new invitation after a refusal', async () => {
    const invitation = await consortium.invite(admin, silo);
    const { requestId } = await client.requestEnrolment(request(invitation));
    await admin.refuseSilo({ requestId, reason: '' });
    const enrolled = await consortium.enrol(admin, silo);
    expect(enrolled.name).toBe(silo);
  });
});
