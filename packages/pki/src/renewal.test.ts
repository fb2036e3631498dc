import { beforeAll, describe, expect, test } from '@jest/globals';
import { createCsr } from './csr.ts';
import { createIdentity, openIdentity, type Identity } from './identity.ts';
import { createTlsKey } from './key.ts';
import { renewalDueMs, signRenewal, verifyRenewal, type SignedRenewal } from './renewal.ts';

let identity: Identity;
let signed: SignedRenewal;

beforeAll(async () => {
  const { privateKeyPem } = await createTlsKey(2048);
  const csrPem = createCsr({ privateKeyPem, consortium: 'heart', name: 'st-anna' });
  identity = openIdentity(createIdentity().privateKeyPem);
  signed = signRenewal(identity, { silo: 'st-anna', csrPem, after: '0a' });
});

describe('a renewal', () => {
  test('is believed as its identity key signed it', () => {
    expect(verifyRenewal(signed)).toMatchObject({ consortium: 'heart', name: 'st-anna' });
  });

  test.each<[string, (request: SignedRenewal) => SignedRenewal, string]>([
    ['another serial', (r) => ({ ...r, after: '0b' }), 'PKI_SIGNATURE_INVALID'],
    ['another silo', (r) => ({ ...r, silo: 'vienna' }), 'PKI_RENEWAL_INVALID'],
    ['a malformed serial', (r) => ({ ...r, after: '0A' }), 'PKI_RENEWAL_INVALID'],
    [
      'a key of small order',
      (r) => ({ ...r, identityKey: new Uint8Array(32) }),
      'PKI_RENEWAL_INVALID',
    ],
    ['no request for a certificate', (r) => ({ ...r, csrPem: '' }), 'PKI_CSR_INVALID'],
    [
      'the signature of another key',
      (r) => ({ ...r, identityKey: openIdentity(createIdentity().privateKeyPem).publicKey }),
      'PKI_SIGNATURE_INVALID',
    ],
  ])('is refused with %s', (_, change, code) => {
    expect(() => verifyRenewal(change(signed))).toThrow(
      expect.objectContaining({ name: 'MedleyError', code }),
    );
  });

  test('is due at two thirds of a life', () => {
    expect(renewalDueMs({ notBeforeMs: 1000, notAfterMs: 7000 })).toBe(5000);
  });
});
