import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { MedleyError, sha256, toHex } from '@medley/kit';
import {
  OID,
  bits,
  bitsOf,
  contentOf,
  decode,
  encode,
  integer,
  nothing,
  oid,
  oidOf,
  partsOf,
  sequence,
  set,
  tagged,
  utf8String,
  type Asn1,
} from './asn1.ts';
import { openPrivateKey } from './key.ts';
import { checkName, isName } from './name.ts';
import { readPem, writePem } from './pem.ts';

/** What a certificate request asks for, after its own signature has been checked. */
export interface Csr {
  readonly consortium: string;
  readonly name: string;
  readonly publicKeyPem: string;
  /** SHA-256 of the SubjectPublicKeyInfo's DER, lower-case hex. */
  readonly spkiSha256: string;
}

const LABEL = 'CERTIFICATE REQUEST';
const MAX_RSA_BITS = 8192;

/**
 * A PKCS#10 request (RFC 2986) for the key, signed by it with SHA-256. It asks for a name only; role
 * and extensions are the authority's to choose. Throws PKI_NAME_INVALID and PKI_KEY_INVALID.
 */
export function createCsr(options: {
  readonly privateKeyPem: string;
  readonly consortium: string;
  readonly name: string;
}): string {
  const key = openPrivateKey(options.privateKeyPem);
  if (key.asymmetricKeyType !== 'rsa') {
    throw new MedleyError('PKI_KEY_INVALID', 'a TLS key must be RSA');
  }
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const subject = sequence(
    attribute(OID.organization, checkName(options.consortium, 'the consortium')),
    attribute(OID.commonName, checkName(options.name, 'the silo')),
  );
  const info = sequence(integer(0), subject, decode(spki), tagged(0, []));
  const signature = bits(sign('sha256', encode(info), key));
  return writePem(LABEL, encode(sequence(info, sha256WithRsa(), signature)));
}

/**
 * Reads a request from anyone: one PEM block of DER, RSA of 2048 to 8192 bits with exponent 65537,
 * signed by that key with SHA-256 (checked by OpenSSL). Attributes in it are ignored. Throws
 * PKI_CSR_INVALID for every other input.
 */
export function readCsr(pem: string): Csr {
  const der = readPem(pem, LABEL);
  try {
    if (!der) throw new Error('not one PEM certificate request');
    return readRequest(decode(der));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unreadable';
    throw new MedleyError('PKI_CSR_INVALID', `the certificate request is refused: ${why}`, {
      cause,
    });
  }
}

/** AlgorithmIdentifier of RSA PKCS#1 v1.5 with SHA-256 (RFC 4055 section 5). */
export function sha256WithRsa(): Asn1 {
  return sequence(oid(OID.sha256WithRsa), nothing());
}

function readRequest(request: Asn1): Csr {
  const [info, algorithm, signature] = partsOf(request, 3);
  const [version, subject, spki] = partsOf(info, 4);
  if (contentOf(version, 'INTEGER').join() !== '0') throw new Error('unknown version');
  if (oidOf(partsOf(algorithm, 1, 2)[0]) !== OID.sha256WithRsa)
    throw new Error('not RSA with SHA-256');
  // partsOf has counted them.
  const spkiDer = encode(spki!);
  const key = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
  checkKey(key);
  if (!verify('sha256', encode(info!), key, bitsOf(signature))) throw new Error('wrong signature');
  const names = readSubject(subject);
  const publicKeyPem = key.export({ type: 'spki', format: 'pem' }).toString();
  return { ...names, publicKeyPem, spkiSha256: toHex(sha256(spkiDer)) };
}

function checkKey(key: KeyObject): void {
  const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
  const isGood =
    key.asymmetricKeyType === 'rsa' &&
    modulusLength >= 2048 &&
    modulusLength <= MAX_RSA_BITS &&
    publicExponent === 65537n;
  if (!isGood) throw new Error('the key is not RSA of 2048 to 8192 bits with exponent 65537');
}

function readSubject(subject: Asn1 | undefined): {
  readonly consortium: string;
  readonly name: string;
} {
  const found = new Map<string, string>();
  for (const relative of partsOf(subject, 2, 3)) {
    const [type, value] = partsOf(partsOf(relative, 1)[0], 2);
    const text = Buffer.from(contentOf(value, 'UTF8', 'PRINTABLESTRING')).toString('latin1');
    if (found.has(oidOf(type)) || !isName(text)) throw new Error('the subject is not a plain name');
    found.set(oidOf(type), text);
  }
  const consortium = found.get(OID.organization);
  const name = found.get(OID.commonName);
  if (consortium === undefined || name === undefined) throw new Error('the subject is incomplete');
  return { consortium, name };
}

function attribute(type: string, value: string): Asn1 {
  return set(sequence(oid(type), utf8String(value)));
}
