import {
  createCipheriv,
  createPrivateKey,
  generateKeyPair,
  scryptSync,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { MedleyError, systemRng, utf8, type Rng } from '@medley/kit';
import { OID, encode, integer, octets, oid, sequence } from './asn1.ts';
import { isPem, writePem } from './pem.ts';

/** A key pair in PEM: PKCS#8 private key, SubjectPublicKeyInfo public key. */
export interface KeyPair {
  readonly privateKeyPem: string;
  readonly publicKeyPem: string;
}

// OWASP's equal-cost setting with the least memory: 16 MiB, which OpenSSL's own limit of 32 MiB for
// opening such a file admits.
const SCRYPT = { N: 2 ** 14, r: 8, p: 5 } as const;
const MIN_PASSPHRASE_LENGTH = 12;
const ENCRYPTED = 'ENCRYPTED PRIVATE KEY';

const generate = promisify(generateKeyPair);

/** A fresh RSA key (public exponent 65537) for TLS, from OpenSSL's generator, off the main thread. */
export async function createTlsKey(bits = 3072): Promise<KeyPair> {
  const { privateKey, publicKey } = await generate('rsa', {
    modulusLength: bits,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privateKeyPem: privateKey, publicKeyPem: publicKey };
}

/**
 * Encrypts a plain PKCS#8 key for rest: PBES2 with scrypt (RFC 7914 section 7) and AES-256-CBC,
 * which OpenSSL opens. Written here because OpenSSL's exporter is fixed at 2048 rounds of PBKDF2.
 * Takes about 200 ms. Throws PKI_PASSPHRASE_WEAK below 12 characters and PKI_KEY_INVALID.
 */
export function encryptPrivateKey(pem: string, passphrase: string, rng: Rng = systemRng): string {
  if (passphrase.length < MIN_PASSPHRASE_LENGTH) {
    throw new MedleyError('PKI_PASSPHRASE_WEAK', 'the passphrase is shorter than 12 characters');
  }
  const plain = openPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  const salt = rng.bytes(16);
  const iv = rng.bytes(16);
  const key = scryptSync(utf8(passphrase), salt, 32, SCRYPT);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  plain.fill(0);
  key.fill(0);
  const derivation = sequence(
    oid(OID.scrypt),
    sequence(octets(salt), integer(SCRYPT.N), integer(SCRYPT.r), integer(SCRYPT.p)),
  );
  const scheme = sequence(derivation, sequence(oid(OID.aes256Cbc), octets(iv)));
  return writePem(ENCRYPTED, encode(sequence(sequence(oid(OID.pbes2), scheme), octets(sealed))));
}

/**
 * Opens a PKCS#8 private key of any algorithm; `passphrase` is needed for an encrypted one and
 * ignored for a plain one. Throws PKI_PASSPHRASE_WRONG (also for a damaged encrypted key, which
 * cannot be told apart) and PKI_KEY_INVALID.
 */
export function openPrivateKey(pem: string, passphrase?: string): KeyObject {
  const isEncrypted = isPem(pem, ENCRYPTED);
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(isEncrypted ? { passphrase } : {}) });
  } catch (cause) {
    // Without the cause's text: OpenSSL's messages may quote its input.
    if (isEncrypted) {
      throw new MedleyError('PKI_PASSPHRASE_WRONG', 'the private key does not open', { cause });
    }
    throw new MedleyError('PKI_KEY_INVALID', 'the private key cannot be read', { cause });
  }
}
