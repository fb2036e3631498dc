import { createHash, createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import forge from 'node-forge';
import { isMedleyError, seededRng } from '@medley/kit';
import { createAuthority, issueCertificate, openAuthority, type Authority } from './ca.ts';
import { readAuthority, readCertificate, spkiPin, verifyIssued, verifyPin } from './certificate.ts';
import { createTlsKey, type KeyPair } from './key.ts';
import { readPem } from './pem.ts';

const NOW = Date.parse('2026-08-24T10:00:00Z');
const DAY = 86_400_000;
const rng = seededRng('certificate');
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });
let authority: Authority;
let twin: Authority;
let pair: KeyPair;
let pem: string;

beforeAll(async () => {
  const make = { consortium: 'heart', nowMs: NOW, days: 100, keyBits: 2048, rng };
  authority = openAuthority(await createAuthority(make));
  twin = openAuthority(await createAuthority(make));
  pair = await createTlsKey(2048);
  pem = issue(authority);
});

function issue(by: Authority, nowMs = NOW): string {
  const subject = { consortium: 'heart', role: 'silo', name: 'st-anna' } as const;
  const { publicKeyPem } = pair;
  return issueCertificate({ authority: by, publicKeyPem, subject, nowMs, days: 7, rng })
    .certificatePem;
}

/** A certificate that the true authority key signed but no code of ours would issue. */
function odd(
  altNames: readonly object[],
  commonName = 'st-anna',
  usage: object = { clientAuth: true },
): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(pair.publicKeyPem);
  certificate.serialNumber = '41';
  certificate.validity.notBefore = new Date(NOW);
  certificate.validity.notAfter = new Date(NOW + DAY);
  certificate.setSubject([
    { name: 'organizationName', value: 'heart' },
    { name: 'organizationalUnitName', value: 'silo' },
    { name: 'commonName', value: commonName },
  ]);
  certificate.setIssuer(forge.pki.certificateFromPem(authority.certificatePem).subject.attributes);
  certificate.setExtensions([
    { name: 'extKeyUsage', ...usage },
    ...(altNames.length > 0 ? [{ name: 'subjectAltName', altNames }] : []),
  ]);
  const key = authority.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
  certificate.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}

const uri = { type: 6, value: 'medley://heart/silo/st-anna' };

describe('reading certificates', () => {
  test('PEM and DER read the same', () => {
    expect(readCertificate(readPem(pem, 'CERTIFICATE')!)).toEqual(readCertificate(pem));
    expect(readCertificate(pem).pem).toBe(pem);
  });

  test('the pin is the hash of the key, not of the certificate', () => {
    const der = createPublicKey(pair.publicKeyPem).export({ type: 'spki', format: 'der' });
    const expected = createHash('sha256').update(der).digest('hex');
    expect(spkiPin(pem)).toBe(expected);
    expect(readCertificate(issue(twin)).spkiSha256).toBe(expected);
  });

  test.each<[string, () => string | Uint8Array]>([
    ['the authority itself', () => authority.certificatePem],
    ['two certificates', () => pem + pem],
    [
      'octets after the certificate',
      () => Buffer.concat([readPem(pem, 'CERTIFICATE')!, Buffer.of(0)]),
    ],
    ['a certificate without a medley name', () => odd([{ type: 2, value: 'localhost' }])],
    ['a certificate without alternative names', () => odd([])],
    ['two medley names', () => odd([uri, { type: 6, value: 'medley://heart/silo/other' }])],
    [
      'a medley name inside a host name',
      () => odd([{ type: 2, value: 'a, URI:medley://heart/silo/st-anna' }]),
    ],
    ['another common name', () => odd([uri], 'st-berta')],
    ['nothing', () => new Uint8Array()],
  ])('refuses %s', (_, make) => {
    expect(() => readCertificate(make())).toThrow(coded('PKI_CERTIFICATE_INVALID'));
  });

  test('any octets are refused with the one code', () => {
    const der = readPem(pem, 'CERTIFICATE')!;
    const changed = fc
      .tuple(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, mask]) => der.map((octet, i) => (i === at ? octet ^ mask : octet)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), changed, fc.string()), (input) => {
        for (const read of [readCertificate, spkiPin, readAuthority]) {
          try {
            read(input);
          } catch (error) {
            expect(isMedleyError(error)).toBe(true);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('believing certificates', () => {
  const check = (certificate: string, nowMs = NOW, role?: 'silo' | 'audit') =>
    verifyIssued(certificate, authority.certificatePem, nowMs, role);

  test('accepts what the authority issued, within its time', () => {
    expect(check(pem)).toEqual(readCertificate(pem));
    expect(check(pem, NOW + 7 * DAY, 'silo').subject.name).toBe('st-anna');
  });

  test('refuses the certificate of a namesake authority', () => {
    expect(() => check(issue(twin))).toThrow(coded('PKI_CERTIFICATE_FOREIGN'));
  });

  test('refuses it before its time and after', () => {
    expect(() => check(pem, NOW - DAY)).toThrow(coded('PKI_CERTIFICATE_EARLY'));
    expect(() => check(pem, NOW + 7 * DAY + 1)).toThrow(coded('PKI_CERTIFICATE_EXPIRED'));
  });

  test('refuses another role and another extended usage', () => {
    expect(() => check(pem, NOW, 'audit')).toThrow(coded('PKI_CERTIFICATE_PURPOSE'));
    expect(check(odd([uri])).serial).toBe('41');
    expect(() => check(odd([uri], 'st-anna', { serverAuth: true }))).toThrow(
      coded('PKI_CERTIFICATE_PURPOSE'),
    );
    expect(() => check(odd([uri], 'st-anna', { serverAuth: true, clientAuth: true }))).toThrow(
      coded('PKI_CERTIFICATE_PURPOSE'),
    );
  });

  test('believes nothing by an authority that is none or has expired', () => {
    expect(() => verifyIssued(pem, pem, NOW)).toThrow(coded('PKI_AUTHORITY_INVALID'));
    expect(() => check(pem, NOW + 101 * DAY)).toThrow(coded('PKI_AUTHORITY_INVALID'));
  });

  test('a changed octet is never believed', () => {
    const der = readPem(pem, 'CERTIFICATE')!;
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = der.map((octet, i) => (i === at ? octet ^ mask : octet));
        expect(() => verifyIssued(changed, authority.certificatePem, NOW)).toThrow(
          expect.objectContaining({ name: 'MedleyError' }),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('the pin of an invitation decides which authority is believed', () => {
    const pin = spkiPin(authority.certificatePem);
    expect(verifyPin(authority.certificatePem, pin).consortium).toBe('heart');
    expect(() => verifyPin(twin.certificatePem, pin)).toThrow(coded('PKI_PIN_MISMATCH'));
    expect(() => verifyPin(pem, spkiPin(pem))).toThrow(coded('PKI_AUTHORITY_INVALID'));
  });
});
