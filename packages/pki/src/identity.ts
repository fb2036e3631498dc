import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { MedleyError, concatBytes, fromHex, toHex } from '@medley/kit';
import { openPrivateKey } from './key.ts';

/** A party's long-lived signing key (Ed25519, RFC 8032), opened. */
export interface Identity {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The signature over `message`, 64 bytes, owned by the caller. */
  sign(message: Uint8Array): Uint8Array;
}

/** SubjectPublicKeyInfo of Ed25519 up to the key itself (RFC 8410 section 4). */
const SPKI_PREFIX = fromHex('302a300506032b6570032100')!; // constant, well-formed hex

/**
 * Points of small order by their y coordinate, little-endian with the sign bit cleared: 0, 1, p−1,
 * the two of order eight, and p and p+1, which are 0 and 1 again. Under such a key one signature fits
 * many messages (Chalkias et al. 2020, "Taming the many EdDSAs"), so it can sign nothing.
 */
export const SMALL_ORDER: readonly string[] = [
  `00${'00'.repeat(31)}`,
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
];

/** A fresh identity: PKCS#8 private key in plain PEM and the raw public key. */
export function createIdentity(): {
  readonly privateKeyPem: string;
  readonly publicKey: Uint8Array;
} {
  const { privateKey } = generateKeyPairSync('ed25519');
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKeyPem, publicKey: openIdentity(privateKeyPem).publicKey };
}

/**
 * Opens an identity from PKCS#8 PEM, plain or encrypted. Throws PKI_PASSPHRASE_WRONG, and
 * PKI_KEY_INVALID when it is not an Ed25519 key.
 */
export function openIdentity(pem: string, passphrase?: string): Identity {
  const privateKey = openPrivateKey(pem, passphrase);
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new MedleyError('PKI_KEY_INVALID', 'an identity key must be Ed25519');
  }
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  return {
    publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)),
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
  };
}

/** Whether the bytes can be an identity's public key: 32 of them, not a point of small order. */
export function isIdentityKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32) return false;
  // A copy: `slice` of a Buffer, which is what gRPC hands over, would share its memory.
  const y = Uint8Array.from(publicKey);
  y[31] = (y[31] ?? 0) & 0x7f;
  return !SMALL_ORDER.includes(toHex(y));
}

/**
 * Whether `signature` is the key's over `message`. Never throws: malformed keys and signatures are
 * false. All of it is public, so nothing here needs constant time.
 */
export function verifyIdentity(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isIdentityKey(publicKey) || signature.length !== 64) return false;
  try {
    const spki = Buffer.from(concatBytes(SPKI_PREFIX, publicKey));
    return verify(
      null,
      message,
      createPublicKey({ key: spki, format: 'der', type: 'spki' }),
      signature,
    );
  } catch {
    return false;
  }
}
