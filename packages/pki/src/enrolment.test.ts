import { beforeAll, describe, expect, test } from '@jest/globals';
import {
  enrolmentBytes,
  signEnrolment,
  verifyEnrolment,
  type SignedEnrolment,
} from './enrolment.ts';
import { createCsr } from './csr.ts';
import { fingerprintWords } from './fingerprint.ts';
import { createIdentity, openIdentity, verifyIdentity } from './identity.ts';
import { invitationSecretHash } from './invitation.ts';
import { createTlsKey } from './key.ts';

const identity = openIdentity(createIdentity().privateKeyPem);
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });
let signed: SignedEnrolment;
let otherCsr: string;

beforeAll(async () => {
  const { privateKeyPem } = await createTlsKey(2048);
  const csrPem = createCsr({ privateKeyPem, consortium: 'heart', name: 'st-anna' });
  otherCsr = createCsr({ privateKeyPem, consortium: 'heart', name: 'st-berta' });
  signed = signEnrolment(identity, {
    invitationId: '0123456789abcdef',
    secretHash: invitationSecretHash(new Uint8Array(16)),
    silo: 'st-anna',
    csrPem,
  });
});

describe('enrolment', () => {
  test('a request proves its keys and shows its words', () => {
    const verified = verifyEnrolment(signed);
    expect(verified.csr).toMatchObject({ consortium: 'heart', name: 'st-anna' });
    expect(verified.fingerprint).toEqual(fingerprintWords(identity.publicKey));
    expect(verifyIdentity(identity.publicKey, enrolmentBytes(signed), signed.signature)).toBe(true);
  });

  test.each<[string, (request: SignedEnrolment) => SignedEnrolment, string]>([
    [
      'another identity',
      (r) => ({ ...r, identityKey: createIdentity().publicKey }),
      'PKI_SIGNATURE_INVALID',
    ],
    [
      'another invitation',
      (r) => ({ ...r, invitationId: 'f'.repeat(16) }),
      'PKI_SIGNATURE_INVALID',
    ],
    ['another secret', (r) => ({ ...r, secretHash: 'f'.repeat(64) }), 'PKI_SIGNATURE_INVALID'],
    [
      'a cut signature',
      (r) => ({ ...r, signature: r.signature.slice(1) }),
      'PKI_SIGNATURE_INVALID',
    ],
    ['another silo', (r) => ({ ...r, silo: 'st-berta' }), 'PKI_ENROLMENT_INVALID'],
    ["another silo's request", (r) => ({ ...r, csrPem: otherCsr }), 'PKI_ENROLMENT_INVALID'],
    [
      'both of another silo',
      (r) => ({ ...r, silo: 'st-berta', csrPem: otherCsr }),
      'PKI_SIGNATURE_INVALID',
    ],
    ['no certificate request', (r) => ({ ...r, csrPem: '' }), 'PKI_CSR_INVALID'],
    [
      'a key of small order',
      (r) => ({ ...r, identityKey: new Uint8Array(32) }),
      'PKI_ENROLMENT_INVALID',
    ],
    ['a malformed invitation', (r) => ({ ...r, invitationId: '../x' }), 'PKI_ENROLMENT_INVALID'],
  ])('is refused with %s', (_, change, code) => {
    expect(() => verifyEnrolment(change(signed))).toThrow(coded(code));
  });
});
