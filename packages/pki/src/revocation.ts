import { sign, verify, X509Certificate } from 'node:crypto';
import { MedleyError, fromHex, toHex } from '@medley/kit';
import {
  OID,
  bits,
  bitsOf,
  contentOf,
  decode,
  encode,
  enumerated,
  insideTag,
  integer,
  octets,
  oid,
  oidOf,
  partsOf,
  sequence,
  tagged,
  time,
  timeOf,
  type Asn1,
} from './asn1.ts';
import type { Authority } from './ca.ts';
import { readIssuer } from './certificate.ts';
import { sha256WithRsa } from './csr.ts';
import { readPem, writePem } from './pem.ts';

/** Reasons of RFC 5280 section 5.3.1 that a consortium has use for. */
const REASONS = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

export type RevocationReason = keyof typeof REASONS;

/** Every {@link RevocationReason}. */
export const REVOCATION_REASONS = Object.keys(REASONS) as readonly RevocationReason[];

/** True for one of {@link REVOCATION_REASONS}. */
export function isRevocationReason(text: string): text is RevocationReason {
  return Object.hasOwn(REASONS, text);
}

export interface Revocation {
  /** Lower-case hex. */
  readonly serial: string;
  readonly atMs: number;
  readonly reason: RevocationReason;
}

/** A certificate revocation list that the authority signed. */
export interface RevocationList {
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly Revocation[];
}

const LABEL = 'X509 CRL';
/** Some 60,000 revoked certificates. */
const MAX_LENGTH = 4 * 2 ** 20;

/**
 * Signs a version 2 revocation list (RFC 5280 section 5) as PEM. `number` must grow with every list.
 * Times are cut to whole seconds. Throws PKI_AUTHORITY_INVALID and PKI_CRL_INVALID for a malformed serial.
 */
export function buildCrl(options: {
  readonly authority: Authority;
  readonly revoked: readonly Revocation[];
  readonly nowMs: number;
  readonly nextUpdateMs: number;
  readonly number: number;
}): string {
  const issuer = issuerOf(readIssuer(options.authority.certificatePem).pem);
  const entries = options.revoked.map(entry);
  const extensions = sequence(
    extension(OID.authorityKeyIdentifier, sequence(tagged(0, issuer.keyIdentifier))),
    extension(OID.crlNumber, integer(options.number)),
  );
  const list = sequence(
    integer(1),
    sha256WithRsa(),
    issuer.name,
    time(options.nowMs),
    time(options.nextUpdateMs),
    // An empty list must be left out (RFC 5280 section 5.1.2.6).
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    tagged(0, [extensions]),
  );
  const signature = bits(sign('sha256', encode(list), options.authority.privateKey));
  return writePem(LABEL, encode(sequence(list, sha256WithRsa(), signature)));
}

/**
 * Reads a list as {@link buildCrl} writes it and checks the authority's signature (by OpenSSL).
 * Whether it is still current is for the caller: compare `nextUpdateMs`. Throws PKI_CRL_INVALID and
 * PKI_AUTHORITY_INVALID.
 */
export function readCrl(pem: string, authorityPem: string): RevocationList {
  const authority = readIssuer(authorityPem).pem;
  const der = readPem(pem, LABEL, MAX_LENGTH);
  try {
    if (!der) throw new Error('not one PEM revocation list');
    const [list, algorithm, signature] = partsOf(decode(der), 3);
    if (oidOf(partsOf(algorithm, 2)[0]) !== OID.sha256WithRsa)
      throw new Error('not RSA with SHA-256');
    const key = new X509Certificate(authority).publicKey;
    // partsOf has counted them.
    if (!verify('sha256', encode(list!), key, bitsOf(signature)))
      throw new Error('wrong signature');
    return readList(list);
  } catch (cause) {
    throw new MedleyError('PKI_CRL_INVALID', 'the revocation list is refused', { cause });
  }
}

function entry(revocation: Revocation): Asn1 {
  const serial = fromHex(revocation.serial);
  if (!serial || serial.length === 0 || serial.length > 20) {
    throw new MedleyError('PKI_CRL_INVALID', 'a revoked serial is not 1 to 20 bytes of hex');
  }
  return sequence(
    integer(serial),
    time(revocation.atMs),
    sequence(extension(OID.crlReason, enumerated(REASONS[revocation.reason]))),
  );
}

function extension(type: string, value: Asn1): Asn1 {
  return sequence(oid(type), octets(encode(value)));
}

/** The issuer's name and key identifier exactly as its own certificate writes them. */
function issuerOf(authorityPem: string): {
  readonly name: Asn1;
  readonly keyIdentifier: Uint8Array;
} {
  const [tbs] = partsOf(decode(new X509Certificate(authorityPem).raw), 3);
  const fields = partsOf(tbs, 8);
  const name = fields[5];
  for (const each of partsOf(insideTag(fields[7], 3)?.[0], 1, 16)) {
    const [type, ...rest] = partsOf(each, 2, 3);
    if (name && oidOf(type) === '2.5.29.14') {
      const wrapped = decode(contentOf(rest.at(-1), 'OCTETSTRING'));
      return { name, keyIdentifier: contentOf(wrapped, 'OCTETSTRING') };
    }
  }
  throw new MedleyError('PKI_AUTHORITY_INVALID', 'the authority has no subject key identifier');
}

function readList(list: Asn1 | undefined): RevocationList {
  const fields = partsOf(list, 6, 7);
  const [authorityKey, number] = partsOf(insideTag(fields.at(-1), 0)?.[0], 2);
  if (authorityKey === undefined) throw new Error('no authority key identifier');
  return {
    number: numberOf(valueOf(number, OID.crlNumber), 'INTEGER'),
    thisUpdateMs: timeOf(fields[3]),
    nextUpdateMs: timeOf(fields[4]),
    revoked: fields.length === 7 ? partsOf(fields[5], 1, Infinity).map(readEntry) : [],
  };
}

function readEntry(node: Asn1): Revocation {
  const [serial, at, extensions] = partsOf(node, 3);
  const code = numberOf(valueOf(partsOf(extensions, 1)[0], OID.crlReason), 'ENUMERATED');
  const reason = Object.entries(REASONS).find(([, value]) => value === code)?.[0];
  if (reason === undefined) throw new Error('unknown reason');
  return {
    serial: toHex(contentOf(serial, 'INTEGER')).replace(/^00(?=.)/, ''),
    atMs: timeOf(at),
    // Found among the keys above.
    reason: reason as RevocationReason,
  };
}

function valueOf(node: Asn1 | undefined, type: string): Asn1 {
  const [actual, value] = partsOf(node, 2);
  if (oidOf(actual) !== type) throw new Error('unexpected extension');
  return decode(contentOf(value, 'OCTETSTRING'));
}

function numberOf(node: Asn1, kind: 'INTEGER' | 'ENUMERATED'): number {
  const value = Number.parseInt(toHex(contentOf(node, kind)), 16);
  if (!Number.isSafeInteger(value)) throw new Error('number out of range');
  return value;
}
