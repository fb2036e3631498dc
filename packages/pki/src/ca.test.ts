import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import forge from 'node-forge';
import { seededRng } from '@medley/kit';
import { createAuthority, issueCertificate, openAuthority, type Authority } from './ca.ts';
import { readAuthority, readCertificate } from './certificate.ts';
import { createCsr } from './csr.ts';
import { createTlsKey, encryptPrivateKey, type KeyPair } from './key.ts';
import type { Role } from './name.ts';

const NOW = Date.parse('2026-08-24T10:00:00.500Z');
const DAY = 86_400_000;
const rng = seededRng('ca');
let files: { readonly certificatePem: string; readonly privateKeyPem: string };
let authority: Authority;
let pair: KeyPair;
let csrPem: string;

beforeAll(async () => {
  files = await createAuthority({ consortium: 'heart', nowMs: NOW, keyBits: 2048, rng });
  authority = openAuthority(files);
  pair = await createTlsKey(2048);
  csrPem = createCsr({ privateKeyPem: pair.privateKeyPem, consortium: 'heart', name: 'st-anna' });
});

const subject = (role: Role, name = 'st-anna') => ({ consortium: 'heart', role, name });
const common = () => ({ authority, nowMs: NOW, days: 7, rng });
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });

describe('the authority', () => {
  test('signs itself, for certificates and revocation lists, with room for one authority below it', () => {
    expect(readAuthority(files.certificatePem)).toMatchObject({
      consortium: 'heart',
      notAfterMs: Date.parse('2036-08-21T10:00:00Z'),
    });
    const read = forge.pki.certificateFromPem(files.certificatePem);
    expect(read.getExtension('basicConstraints')).toMatchObject({
      critical: true,
      cA: true,
      pathLenConstraint: 1,
    });
    expect(read.getExtension('keyUsage')).toMatchObject({
      critical: true,
      keyCertSign: true,
      cRLSign: true,
      digitalSignature: false,
    });
  });

  test('opens from an encrypted key', () => {
    const privateKeyPem = encryptPrivateKey(files.privateKeyPem, 'a long passphrase', rng);
    const opened = openAuthority({ ...files, privateKeyPem, passphrase: 'a long passphrase' });
    expect(opened.privateKey.equals(authority.privateKey)).toBe(true);
  });

  test('refuses the key of another', () => {
    expect(() => openAuthority({ ...files, privateKeyPem: pair.privateKeyPem })).toThrow(
      coded('PKI_AUTHORITY_INVALID'),
    );
  });

  test('needs a plain consortium name', async () => {
    await expect(createAuthority({ consortium: 'He art', nowMs: NOW, rng })).rejects.toThrow(
      coded('PKI_NAME_INVALID'),
    );
  });
});

describe('issued certificates', () => {
  test('say who, how long and by which serial', () => {
    const issued = issueCertificate({ ...common(), csrPem, subject: subject('silo') });
    expect(readCertificate(issued.certificatePem)).toMatchObject({
      subject: subject('silo'),
      serial: issued.serial,
      notBeforeMs: Date.parse('2026-08-24T09:55:00Z'),
      notAfterMs: Date.parse('2026-08-31T10:00:00Z'),
    });
    expect(issued.notAfterMs).toBe(Date.parse('2026-08-31T10:00:00Z'));
  });

  test.each<[Role, string]>([
    ['silo', '1.3.6.1.5.5.7.3.2'],
    ['operator', '1.3.6.1.5.5.7.3.2'],
    ['aggregator', '1.3.6.1.5.5.7.3.1'],
    ['audit', '1.3.6.1.5.5.7.3.1'],
  ])('of a %s have one extended usage', (role, usage) => {
    const { publicKeyPem } = pair;
    const issued = issueCertificate({ ...common(), publicKeyPem, subject: subject(role) });
    const x509 = new X509Certificate(issued.certificatePem);
    expect(x509.keyUsage).toEqual([usage]);
    expect(x509.ca).toBe(false);
    const read = forge.pki.certificateFromPem(issued.certificatePem);
    expect(read.getExtension('keyUsage')).toMatchObject({
      critical: true,
      digitalSignature: true,
      keyEncipherment: false,
      keyCertSign: false,
    });
    expect(read.signatureOid).toBe(forge.pki.oids['sha256WithRSAEncryption']);
  });

  test('name the key that signed them', () => {
    const issued = issueCertificate({ ...common(), csrPem, subject: subject('silo') });
    const child = forge.pki.certificateFromPem(issued.certificatePem);
    const parent = forge.pki.certificateFromPem(files.certificatePem);
    const { subjectKeyIdentifier } = parent.getExtension('subjectKeyIdentifier') as {
      readonly subjectKeyIdentifier: string;
    };
    const authorityKey = child.getExtension('authorityKeyIdentifier') as { readonly value: string };
    expect(Buffer.from(authorityKey.value, 'latin1').toString('hex')).toBe(
      `30168014${subjectKeyIdentifier}`,
    );
  });

  test('carry the host names and addresses of a server', () => {
    const issued = issueCertificate({
      ...common(),
      publicKeyPem: pair.publicKeyPem,
      subject: subject('aggregator', 'main'),
      dnsNames: ['agg.heart.example', 'localhost'],
      ipAddresses: ['127.0.0.1', '::1'],
    });
    const x509 = new X509Certificate(issued.certificatePem);
    expect(x509.checkHost('agg.heart.example')).toBe('agg.heart.example');
    expect(x509.checkHost('other.example')).toBeUndefined();
    expect(x509.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(x509.checkIP('::1')).toBe('::1');
    expect(readCertificate(issued.certificatePem).subject).toEqual(subject('aggregator', 'main'));
  });

  test('never outlive the authority', () => {
    const late = readAuthority(files.certificatePem).notAfterMs - DAY;
    const issued = issueCertificate({ ...common(), csrPem, subject: subject('silo'), nowMs: late });
    expect(issued.notAfterMs).toBe(late + DAY);
    expect(() =>
      issueCertificate({ ...common(), csrPem, subject: subject('silo'), nowMs: late + 2 * DAY }),
    ).toThrow(coded('PKI_AUTHORITY_INVALID'));
  });

  test('have positive serials of 128 bits whatever the randomness', () => {
    const { publicKeyPem } = pair;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const fixed = { bytes: () => bytes.slice() };
        const options = { ...common(), publicKeyPem, subject: subject('silo'), rng: fixed };
        const { serial, certificatePem } = issueCertificate(options);
        expect(serial).toMatch(/^[4-7][0-9a-f]{31}$/);
        expect(new X509Certificate(certificatePem).serialNumber.toLowerCase()).toBe(serial);
      }),
      { numRuns: 20 },
    );
  });

  test('are refused for another consortium, another name, another kind of key, odd hosts', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const ecPem = ec.export({ type: 'spki', format: 'pem' }).toString();
    const { publicKeyPem } = pair;
    const server = { ...common(), publicKeyPem, subject: subject('aggregator') };
    const foreign = { ...subject('silo'), consortium: 'lung' };
    const cases: readonly [() => unknown, string][] = [
      [() => issueCertificate({ ...common(), csrPem, subject: foreign }), 'PKI_AUTHORITY_INVALID'],
      [
        () => issueCertificate({ ...common(), csrPem, subject: subject('silo', 'b') }),
        'PKI_CSR_INVALID',
      ],
      [() => issueCertificate({ ...server, publicKeyPem: ecPem }), 'PKI_KEY_INVALID'],
      [() => issueCertificate({ ...server, publicKeyPem: 'key' }), 'PKI_KEY_INVALID'],
      [() => issueCertificate({ ...server, dnsNames: ['a, DNS:b'] }), 'PKI_NAME_INVALID'],
      [() => issueCertificate({ ...server, dnsNames: ['127.0.0.1'] }), 'PKI_NAME_INVALID'],
      [() => issueCertificate({ ...server, ipAddresses: ['localhost'] }), 'PKI_NAME_INVALID'],
      [() => issueCertificate({ ...server, subject: subject('silo', 'a/b') }), 'PKI_NAME_INVALID'],
    ];
    for (const [issue, code] of cases) expect(issue).toThrow(coded(code));
  });
});
