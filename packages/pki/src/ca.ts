import { createPublicKey, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';
import { MedleyError, toHex, type Rng } from '@medley/kit';
import { binary, unbinary } from './asn1.ts';
import { purposeOf, readAuthority } from './certificate.ts';
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

const DAY_MS = 86_400_000;
/** Certificates begin this much early, so that a silo whose clock is slow can use them at once. */
const BACKDATE_MS = 5 * 60_000;

type Builder = forge.pki.Certificate;
const { pki } = forge;
// Missing from the published types.
const tbsOf = (pki as typeof pki & { getTBSCertificate: (certificate: Builder) => forge.asn1.Asn1 })
  .getTBSCertificate;

/**
 * A new authority with a self-signed certificate: RSA, SHA-256, path length 0, for certificates and
 * revocation lists only. The key comes out plain: pass it through `encryptPrivateKey` before it
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
  const builder = begin(key.publicKeyPem, options.rng);
  builder.validity.notBefore = new Date(wholeSeconds(options.nowMs - BACKDATE_MS));
  builder.validity.notAfter = new Date(
    wholeSeconds(options.nowMs + (options.days ?? 3650) * DAY_MS),
  );
  const attributes = distinguishedName(consortium, 'authority', `${consortium} authority`);
  builder.setSubject(attributes);
  builder.setIssuer(attributes);
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
    { name: 'keyUsage', critical: true, keyCertSign: true, cRLSign: true },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: true },
  ]);
  const certificatePem = finish(builder, openPrivateKey(key.privateKeyPem));
  return { certificatePem, privateKeyPem: key.privateKeyPem };
}

/**
 * The authority from its files. Throws PKI_PASSPHRASE_WRONG, PKI_KEY_INVALID, and
 * PKI_AUTHORITY_INVALID when certificate and key do not belong together.
 */
export function openAuthority(options: {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly passphrase?: string;
}): Authority {
  const { pem } = readAuthority(options.certificatePem);
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
 * Issues a party's certificate. Only the public key is taken from a request; that request's name must
 * be the subject's. Throws PKI_AUTHORITY_INVALID (also when expired), PKI_CSR_INVALID,
 * PKI_KEY_INVALID and PKI_NAME_INVALID.
 */
export function issueCertificate(options: IssueOptions): IssuedCertificate {
  const { subject, authority, nowMs } = options;
  const issuer = readAuthority(authority.certificatePem);
  const notAfterMs = wholeSeconds(Math.min(nowMs + options.days * DAY_MS, issuer.notAfterMs));
  if (nowMs > issuer.notAfterMs || issuer.consortium !== subject.consortium) {
    throw new MedleyError(
      'PKI_AUTHORITY_INVALID',
      `the authority cannot issue for ${subject.consortium}`,
    );
  }
  const uri = subjectUri(subject);
  const builder = begin(subjectKey(options), options.rng);
  builder.validity.notBefore = new Date(wholeSeconds(nowMs - BACKDATE_MS));
  builder.validity.notAfter = new Date(notAfterMs);
  builder.setSubject(distinguishedName(subject.consortium, subject.role, subject.name));
  const parent = pki.certificateFromPem(issuer.pem);
  builder.setIssuer(parent.subject.attributes);
  builder.setExtensions([
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true },
    { name: 'extKeyUsage', ...extendedUsage(subject.role) },
    { name: 'subjectAltName', altNames: [{ type: 6, value: uri }, ...addresses(options)] },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: keyIdentifierOf(parent) },
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
  try {
    const key = createPublicKey(options.publicKeyPem);
    if (key.asymmetricKeyType !== 'rsa') throw new Error('a TLS key must be RSA');
    return key.export({ type: 'spki', format: 'pem' }).toString();
  } catch (cause) {
    throw new MedleyError('PKI_KEY_INVALID', 'the public key cannot be certified', { cause });
  }
}

function begin(publicKeyPem: string, rng: Rng): Builder {
  const builder = pki.createCertificate();
  builder.publicKey = pki.publicKeyFromPem(publicKeyPem);
  const serial = rng.bytes(16);
  // 0x40…0x7f in front: positive, of fixed length, 126 random bits (CA/B Forum asks for 64).
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  builder.serialNumber = toHex(serial);
  return builder;
}

/** Signs with OpenSSL what forge has built: the key stays a KeyObject, and signing takes 2 ms. */
function finish(builder: Builder, privateKey: KeyObject): string {
  const algorithmOid = pki.oids['sha256WithRSAEncryption'] ?? '';
  builder.signatureOid = algorithmOid;
  builder.siginfo.algorithmOid = algorithmOid;
  builder.tbsCertificate = tbsOf(builder);
  const der = unbinary(forge.asn1.toDer(builder.tbsCertificate).getBytes());
  builder.signature = binary(sign('sha256', der, privateKey));
  return pki.certificateToPem(builder).replaceAll('\r\n', '\n');
}

function distinguishedName(
  organization: string,
  unit: Role | 'authority',
  name: string,
): forge.pki.CertificateField[] {
  // Types that node-forge's declarations leave out but its encoder reads.
  const valueTagClass = forge.asn1.Type.UTF8 as unknown as forge.asn1.Class;
  return [
    { name: 'organizationName', value: organization, valueTagClass },
    { name: 'organizationalUnitName', value: unit, valueTagClass },
    { name: 'commonName', value: name, valueTagClass },
  ];
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

function keyIdentifierOf(parent: Builder): string {
  const extension = parent.getExtension('subjectKeyIdentifier') as
    { readonly subjectKeyIdentifier?: string } | null | undefined;
  return Buffer.from(extension?.subjectKeyIdentifier ?? '', 'hex').toString('latin1');
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
