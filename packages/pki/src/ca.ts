import { X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { MedleyError, type Rng } from '@medley/kit';
import {
  begin,
  DAY_MS,
  distinguishedName,
  finish,
  parentOf,
  rsaKey,
  wholeSeconds,
} from './builder.ts';
import { purposeOf, readIssuer } from './certificate.ts';
import { readCsr } from './csr.ts';
import { createTlsKey, openPrivateKey } from './key.ts';
import { checkName, isHostName, subjectUri, type Role, type Subject } from './name.ts';

/** The consortium authority, ready to sign. The key never enters node-forge. */
export interface Authority {
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
}

/** A certificate just issued. */
export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Lower-case hex, 32 digits. */
  readonly serial: string;
  readonly notAfterMs: number;
}

/**
 * A new authority with a self-signed certificate: RSA, SHA-256, path length 1 (room for the
 * renewal authority below it), for certificates and revocation lists only. The key comes out plain: pass it through `encryptPrivateKey` before it
 * touches a disk. Throws PKI_NAME_INVALID.
 */
export async function createAuthority(options: {
  readonly consortium: string;
  readonly nowMs: number;
  readonly days?: number;
  readonly keyBits?: number;
  readonly rng: Rng;
}): Promise<{ readonly certificatePem: string; readonly privateKeyPem: string }> {
  const consortium = checkName(options.consortium, 'the consortium');
  const key = await createTlsKey(options.keyBits ?? 3072);
  const name = distinguishedName(consortium, 'authority', `${consortium} authority`);
  const builder = begin({
    publicKeyPem: key.publicKeyPem,
    subject: name,
    issuer: name,
    nowMs: options.nowMs,
    notAfterMs: options.nowMs + (options.days ?? 3650) * DAY_MS,
    rng: options.rng,
  });
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 1 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: true },
  ]);
  const certificatePem = finish(builder, openPrivateKey(key.privateKeyPem));
  return { certificatePem, privateKeyPem: key.privateKeyPem };
}

/**
 * An authority, the consortium's or one for renewals, from its files. Throws PKI_PASSPHRASE_WRONG, PKI_KEY_INVALID, and
 * PKI_AUTHORITY_INVALID when certificate and key do not belong together.
 */
export function openAuthority(options: {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly passphrase?: string;
}): Authority {
  const { pem } = readIssuer(options.certificatePem);
  const privateKey = openPrivateKey(options.privateKeyPem, options.passphrase);
  if (!new X509Certificate(pem).checkPrivateKey(privateKey)) {
    throw new MedleyError(
      'PKI_AUTHORITY_INVALID',
      'the key is not that of the authority certificate',
    );
  }
  return { certificatePem: pem, privateKey };
}

/** What to issue. The key comes from a request or, for our own services, directly. */
export type IssueOptions = {
  readonly authority: Authority;
  readonly subject: Subject;
  /** Host names by which a server is dialled; lower case. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly nowMs: number;
  /** Length of validity from `nowMs`; fractions allowed. Never beyond the authority's own end. */
  readonly days: number;
  readonly rng: Rng;
} & ({ readonly csrPem: string } | { readonly publicKeyPem: string });

/**
 * Issues a party's certificate; a renewal authority can issue for silos only. Only the public key is taken from a request; that request's name must
 * be the subject's. Throws PKI_AUTHORITY_INVALID (also when expired), PKI_CSR_INVALID,
 * PKI_KEY_INVALID and PKI_NAME_INVALID.
 */
export function issueCertificate(options: IssueOptions): IssuedCertificate {
  const { subject, authority, nowMs } = options;
  const issuer = readIssuer(authority.certificatePem);
  const notAfterMs = wholeSeconds(Math.min(nowMs + options.days * DAY_MS, issuer.notAfterMs));
  if (nowMs > issuer.notAfterMs || issuer.consortium !== subject.consortium) {
    throw new MedleyError(
      'PKI_AUTHORITY_INVALID',
      `the authority cannot issue for ${subject.consortium}`,
    );
  }
  const uri = subjectUri(subject);
  const parent = parentOf(issuer.pem);
  const builder = begin({
    publicKeyPem: subjectKey(options),
    subject: distinguishedName(subject.consortium, subject.role, subject.name),
    issuer: parent.name,
    nowMs,
    notAfterMs,
    rng: options.rng,
  });
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true },
    { name: 'extKeyUsage', ...extendedUsage(subject.role) },
    { name: 'subjectAltName', altNames: [{ type: 6, value: uri }, ...addresses(options)] },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: parent.keyIdentifier },
  ]);
  const certificatePem = finish(builder, authority.privateKey);
  return { certificatePem, serial: builder.serialNumber, notAfterMs };
}

function subjectKey(options: IssueOptions): string {
  if ('csrPem' in options) {
    const csr = readCsr(options.csrPem);
    if (csr.consortium !== options.subject.consortium || csr.name !== options.subject.name) {
      throw new MedleyError('PKI_CSR_INVALID', `the request is for ${csr.consortium}/${csr.name}`);
    }
    return csr.publicKeyPem;
  }
  return rsaKey(options.publicKeyPem);
}

function extendedUsage(role: Role): Readonly<Record<string, boolean>> {
  return purposeOf(role) === 'client' ? { clientAuth: true } : { serverAuth: true };
}

function addresses(options: IssueOptions): readonly object[] {
  const { dnsNames = [], ipAddresses = [] } = options;
  const wrong =
    dnsNames.find((name) => !isHostName(name)) ??
    ipAddresses.find((address) => isIP(address) === 0);
  if (wrong !== undefined) {
    throw new MedleyError(
      'PKI_NAME_INVALID',
      'a DNS name or IP address of the server is malformed',
    );
  }
  return [
    ...dnsNames.map((value) => ({ type: 2, value })),
    ...ipAddresses.map((ip) => ({ type: 7, ip })),
  ];
}
