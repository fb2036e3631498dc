import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import forge from 'node-forge';
import { createCsr, readCsr } from './csr.ts';
import { createTlsKey, type KeyPair } from './key.ts';
import { readPem, writePem } from './pem.ts';

const LABEL = 'CERTIFICATE REQUEST';
const refused = expect.objectContaining({ name: 'MedleyError', code: 'PKI_CSR_INVALID' });
let pair: KeyPair;
let pem: string;

beforeAll(async () => {
  pair = await createTlsKey(2048);
  pem = createCsr({ privateKeyPem: pair.privateKeyPem, consortium: 'heart', name: 'st-anna' });
});

/** A request as another program would make it. */
function foreignCsr(
  fields: forge.pki.CertificateField[],
  digest: forge.md.MessageDigest = forge.md.sha256.create(),
): string {
  const csr = forge.pki.createCertificationRequest();
  csr.publicKey = forge.pki.publicKeyFromPem(pair.publicKeyPem);
  csr.setSubject(fields);
  csr.setAttributes([{ name: 'challengePassword', value: 'ignored' }]);
  csr.sign(forge.pki.privateKeyFromPem(pair.privateKeyPem), digest);
  return forge.pki.certificationRequestToPem(csr);
}

const organization = { name: 'organizationName', value: 'heart' };
const commonName = { name: 'commonName', value: 'st-anna' };

describe('certificate requests', () => {
  test('reads back the key and the names it was made with', () => {
    const csr = readCsr(pem);
    expect(csr).toMatchObject({
      consortium: 'heart',
      name: 'st-anna',
      publicKeyPem: pair.publicKeyPem,
    });
    expect(csr.spkiSha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('another reader finds the request well-formed and signed', () => {
    const csr = forge.pki.certificationRequestFromPem(pem);
    expect(csr.verify()).toBe(true);
    expect(csr.subject.getField('CN')).toMatchObject({ value: 'st-anna' });
  });

  test('reads a request of another program and ignores its attributes', () => {
    const csr = readCsr(foreignCsr([organization, commonName]));
    expect(csr).toEqual(readCsr(pem));
  });

  test.each<[string, () => string]>([
    [
      'no organization',
      () => foreignCsr([commonName, { name: 'organizationalUnitName', value: 'x' }]),
    ],
    ['two common names', () => foreignCsr([organization, commonName, commonName])],
    [
      'a name that needs escaping',
      () => foreignCsr([organization, { ...commonName, value: 'a/b' }]),
    ],
    ['SHA-1', () => foreignCsr([organization, commonName], forge.md.sha1.create())],
    ['another label', () => pem.replaceAll(LABEL, 'CERTIFICATE')],
    ['the private key', () => pair.privateKeyPem],
    ['nothing', () => ''],
  ])('refuses %s', (_, make) => {
    expect(() => readCsr(make())).toThrow(refused);
  });

  test.each([
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
    [
      'a small public exponent',
      () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }).privateKey,
    ],
  ])('refuses %s', (_, make) => {
    const privateKeyPem = make().export({ type: 'pkcs8', format: 'pem' }).toString();
    const weak = createCsr({ privateKeyPem, consortium: 'heart', name: 'st-anna' });
    expect(() => readCsr(weak)).toThrow(refused);
  });

  test('makes none for an elliptic curve key or an impossible name', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const privateKeyPem = ec.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => createCsr({ privateKeyPem, consortium: 'heart', name: 'a' })).toThrow(
      expect.objectContaining({ code: 'PKI_KEY_INVALID' }),
    );
    expect(() =>
      createCsr({ privateKeyPem: pair.privateKeyPem, consortium: 'heart', name: 'A b' }),
    ).toThrow(expect.objectContaining({ code: 'PKI_NAME_INVALID' }));
  });

  test('a changed octet never changes what is believed', () => {
    const der = readPem(pem, LABEL)!;
    const original = readCsr(pem);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = der.slice();
        changed[at] = changed[at]! ^ mask;
        try {
          expect(readCsr(writePem(LABEL, changed))).toEqual(original);
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('any octets and any text are refused with the one code', () => {
    const octets = fc.uint8Array({ maxLength: 400 }).map((bytes) => writePem(LABEL, bytes));
    fc.assert(
      fc.property(fc.oneof(octets, fc.string()), (text) => {
        expect(() => readCsr(text)).toThrow(refused);
      }),
    );
  });

  test('the key never shows in the request', () => {
    const jwk = createPrivateKey(pair.privateKeyPem).export({ format: 'jwk' });
    const der = Buffer.from(readPem(pem, LABEL)!);
    expect(der.includes(Buffer.from(jwk.d ?? '', 'base64url'))).toBe(false);
    expect(der.includes(Buffer.from(jwk.n ?? '', 'base64url'))).toBe(true);
  });
});
