import { X509Certificate } from 'node:crypto';
import { MedleyError, sha256, toHex } from '@medley/kit';
import { readSubjectUri, type Role, type Subject } from './name.ts';
import { readPem, splitPem } from './pem.ts';

/** A party's certificate as read by OpenSSL. What it says is not yet believed: see {@link verifyIssued}. */
export interface Certificate {
  readonly subject: Subject;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the SubjectPublicKeyInfo's DER, lower-case hex. */
  readonly spkiSha256: string;
  readonly pem: string;
}

/** Extended key usages of RFC 5280 section 4.2.1.12. */
export const PURPOSE = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;

/** Who dials and who listens: silos and operators are TLS clients, the services are servers. */
export function purposeOf(role: Role): keyof typeof PURPOSE {
  return role === 'silo' || role === 'operator' ? 'client' : 'server';
}

/**
 * Reads one certificate of a party, PEM or DER. Strict: exactly one certificate, not an authority,
 * exactly one `medley://` name which the distinguished name repeats. Throws PKI_CERTIFICATE_INVALID
 * for every other input.
 */
export function readCertificate(pemOrDer: string | Uint8Array): Certificate {
  const x509 = parseX509(pemOrDer);
  try {
    if (x509.ca) throw new Error('an authority is no party');
    const subject = subjectOf(x509);
    if (x509.subject !== `O=${subject.consortium}\nOU=${subject.role}\nCN=${subject.name}`) {
      throw new Error('the distinguished name and the medley name differ');
    }
    return {
      subject,
      serial: x509.serialNumber.toLowerCase(),
      notBeforeMs: dateMs(x509.validFrom),
      notAfterMs: dateMs(x509.validTo),
      spkiSha256: pinOf(x509),
      pem: x509.toString(),
    };
  } catch (cause) {
    throw invalid(cause);
  }
}

/**
 * Believes a certificate: OpenSSL finds the signature of one of the authorities on it, or on the
 * renewal authority that stands behind it in the chain and has signed it; it is within its time, of
 * the authority's consortium and made for its role. Returns what it says. Revocation is not looked at.
 * `chain` is DER, or PEM with at most one renewal authority after the leaf; `authorities` is PEM.
 *
 * Throws PKI_CERTIFICATE_INVALID, PKI_AUTHORITY_INVALID, PKI_CERTIFICATE_FOREIGN,
 * PKI_CERTIFICATE_EARLY, PKI_CERTIFICATE_EXPIRED and PKI_CERTIFICATE_PURPOSE.
 */
export function verifyIssued(
  chain: string | Uint8Array,
  authorities: string,
  nowMs: number,
  role?: Role,
): Certificate {
  const links: readonly (string | Uint8Array)[] =
    typeof chain === 'string' ? splitPem(chain) : [chain];
  const [leaf, behind] = links;
  if (leaf === undefined || links.length > 2) throw invalid(new Error('a chain of 1 or 2'));
  const certificate = readCertificate(leaf);
  const { consortium, role: actual, name } = certificate.subject;
  const who = `certificate ${certificate.serial} of ${actual} ${name}`;
  const roots = currentAuthorities(authorities, nowMs);
  const issuer = behind === undefined ? undefined : readIssuer(behind);
  const x509 = parseX509(certificate.pem);
  const isOurs = roots.some((root) =>
    issuer
      ? isSignedBy(x509, parseX509(issuer.pem)) && isRenewalOf(issuer, root, actual, nowMs)
      : isSignedBy(x509, parseX509(root.pem)),
  );
  if (!isOurs || consortium !== roots[0]?.consortium) {
    throw new MedleyError(
      'PKI_CERTIFICATE_FOREIGN',
      `${who} is not of consortium ${roots[0]?.consortium ?? ''}`,
    );
  }
  if (nowMs < certificate.notBeforeMs) {
    throw new MedleyError('PKI_CERTIFICATE_EARLY', `${who} is not valid yet`);
  }
  if (nowMs > certificate.notAfterMs) {
    throw new MedleyError('PKI_CERTIFICATE_EXPIRED', `${who} has expired`);
  }
  // Node calls the extended key usages keyUsage.
  const purposes = x509.keyUsage as readonly string[] | undefined;
  if (purposes?.length !== 1 || purposes[0] !== PURPOSE[purposeOf(actual)]) {
    throw new MedleyError('PKI_CERTIFICATE_PURPOSE', `${who} has another extended key usage`);
  }
  if (role !== undefined && role !== actual) {
    throw new MedleyError('PKI_CERTIFICATE_PURPOSE', `${who} does not have the role ${role}`);
  }
  return certificate;
}

/** The authorities that have not expired, at least one. Throws PKI_AUTHORITY_INVALID. */
function currentAuthorities(pem: string, nowMs: number): AuthorityCertificate[] {
  const current = readAuthorities(pem).filter(({ notAfterMs }) => nowMs <= notAfterMs);
  if (current.length > 0) return current;
  throw new MedleyError('PKI_AUTHORITY_INVALID', 'the authority certificate has expired');
}

/** OpenSSL holds the same limits in every handshake, by the extensions of the renewal authority. */
function isRenewalOf(
  issuer: IssuerCertificate,
  root: AuthorityCertificate,
  role: Role,
  nowMs: number,
): boolean {
  return (
    issuer.isRenewal &&
    role === 'silo' &&
    issuer.consortium === root.consortium &&
    nowMs <= issuer.notAfterMs &&
    isSignedBy(parseX509(issuer.pem), parseX509(root.pem))
  );
}

/** The consortium authority's certificate as read by OpenSSL. */
export interface AuthorityCertificate {
  readonly consortium: string;
  readonly serial: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The pin that invitations carry. */
  readonly spkiSha256: string;
  readonly pem: string;
}

/** An authority's certificate, or that of the renewal authority below it. */
export interface IssuerCertificate extends AuthorityCertificate {
  /** True for a renewal authority. Who signed it is not said: see {@link verifyIssued}. */
  readonly isRenewal: boolean;
}

/**
 * Reads a consortium authority's certificate: self-signed, an authority, named for one consortium.
 * Throws PKI_AUTHORITY_INVALID for every other input.
 */
export function readAuthority(pemOrDer: string | Uint8Array): AuthorityCertificate {
  const { isRenewal, ...authority } = readIssuer(pemOrDer);
  if (isRenewal) throw notAuthority(new Error('a renewal authority'));
  return authority;
}

/** Every authority of a PEM text, of one consortium: two while one takes over. Throws PKI_AUTHORITY_INVALID. */
export function readAuthorities(pem: string): AuthorityCertificate[] {
  const found = splitPem(pem).map((block) => readAuthority(block));
  if (found.length === 0) throw notAuthority(new Error('no certificate'));
  if (found.some(({ consortium }) => consortium !== found[0]?.consortium)) {
    throw notAuthority(new Error('authorities of two consortia'));
  }
  return found;
}

/** Reads the certificate of something that issues: {@link readAuthority} or a renewal authority. Throws PKI_AUTHORITY_INVALID. */
export function readIssuer(pemOrDer: string | Uint8Array): IssuerCertificate {
  try {
    const x509 = parseX509(pemOrDer);
    const parts = /^O=([a-z0-9-]+)\nOU=authority\nCN=\1 (authority|renewals)$/.exec(x509.subject);
    const consortium = parts?.[1];
    const isRenewal = parts?.[2] === 'renewals';
    if (!x509.ca || consortium === undefined || isRenewal === isSignedBy(x509, x509)) {
      throw new Error('not a self-signed consortium authority');
    }
    return {
      consortium,
      isRenewal,
      serial: x509.serialNumber.toLowerCase(),
      notBeforeMs: dateMs(x509.validFrom),
      notAfterMs: dateMs(x509.validTo),
      spkiSha256: pinOf(x509),
      pem: x509.toString(),
    };
  } catch (cause) {
    throw notAuthority(cause);
  }
}

function notAuthority(cause: unknown): MedleyError {
  return new MedleyError('PKI_AUTHORITY_INVALID', 'not the certificate of an authority', { cause });
}

/**
 * Hex SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469 section 2.4): the same for every
 * certificate of one key. Throws PKI_CERTIFICATE_INVALID.
 */
export function spkiPin(pemOrDer: string | Uint8Array): string {
  const x509 = parseX509(pemOrDer);
  try {
    return pinOf(x509);
  } catch (cause) {
    throw invalid(cause);
  }
}

/**
 * Reads the authority certificate that a server showed and believes it if its key has the pin of the
 * invitation. Throws PKI_AUTHORITY_INVALID and PKI_PIN_MISMATCH.
 */
export function verifyPin(authority: string | Uint8Array, pin: string): AuthorityCertificate {
  const read = readAuthority(authority);
  if (read.spkiSha256 !== pin) {
    throw new MedleyError(
      'PKI_PIN_MISMATCH',
      `the authority's pin is ${read.spkiSha256}, not ${pin}`,
    );
  }
  return read;
}

/** The certificate at `chain`'s head, alone: what {@link readCertificate} takes. */
export function leafOf(chain: string): string {
  return splitPem(chain)[0] ?? '';
}

/** The certified key, SubjectPublicKeyInfo in PEM. Throws PKI_CERTIFICATE_INVALID. */
export function certificateKey(pemOrDer: string | Uint8Array): string {
  const { publicKey } = parseX509(pemOrDer);
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

/** Host names and addresses by which a server's certificate may be dialled. Throws PKI_CERTIFICATE_INVALID. */
export function hostsOf(pemOrDer: string | Uint8Array): {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
} {
  const entries = (parseX509(pemOrDer).subjectAltName ?? '').split(', ');
  const after = (prefix: string): string[] =>
    entries.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length));
  return { dnsNames: after('DNS:'), ipAddresses: after('IP Address:') };
}

/** Exactly one certificate. Throws PKI_CERTIFICATE_INVALID. */
export function parseX509(pemOrDer: string | Uint8Array): X509Certificate {
  const der = typeof pemOrDer === 'string' ? readPem(pemOrDer, 'CERTIFICATE') : pemOrDer;
  try {
    if (!der) throw new Error('not one PEM certificate');
    const x509 = new X509Certificate(der);
    if (!x509.raw.equals(der)) throw new Error('bytes beside the certificate');
    return x509;
  } catch (cause) {
    throw invalid(cause);
  }
}

// Node quotes an entry that could be taken for several; none of ours can be, so quotes are refused.
function subjectOf(x509: X509Certificate): Subject {
  const entries = (x509.subjectAltName ?? '').split(', ');
  const uris = entries.filter((entry) => entry.startsWith('URI:'));
  const subject = readSubjectUri(uris[0]?.slice('URI:'.length) ?? '');
  if (!subject || uris.length !== 1 || entries.some((entry) => entry.includes('"'))) {
    throw new Error('expected exactly one medley name');
  }
  return subject;
}

/** Whether OpenSSL finds the authority's signature under the certificate. */
export function isSignedBy(x509: X509Certificate, authority: X509Certificate): boolean {
  try {
    return x509.checkIssued(authority) && x509.verify(authority.publicKey);
  } catch {
    // A key of another algorithm than the signature's.
    return false;
  }
}

function pinOf(x509: X509Certificate): string {
  return toHex(sha256(x509.publicKey.export({ type: 'spki', format: 'der' })));
}

function dateMs(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error('a date cannot be read');
  return ms;
}

function invalid(cause: unknown): MedleyError {
  return new MedleyError('PKI_CERTIFICATE_INVALID', 'the certificate cannot be read', { cause });
}
