import { createPrivateKey, createPublicKey, diffieHellman, verify } from 'node:crypto';
import { MedleyError } from '@medley/kit';

const CURVE_PRIME = 2n ** 255n - 19n;
/** u-coordinates of order 1, 2, 4 and 8 on Curve25519 and its twist, below the prime (RFC 7748 section 6.1). */
const SMALL_ORDER: readonly bigint[] = [
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  CURVE_PRIME - 1n,
];

/** A silo's long-lived Ed25519 identity: signs exactly the bytes given (RFC 8032, pure Ed25519), 64 bytes. */
export interface IdentitySigner {
  sign(message: Uint8Array): Uint8Array;
}

/** True when `signature` is `identityKey`'s (raw, 32 bytes) over exactly `message`. */
export function verifyIdentity(
  identityKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(null, message, publicKey('Ed25519', identityKey), signature);
}

/** The raw X25519 public key of a raw private key (RFC 7748), 32 bytes each. */
export function x25519Public(privateKey: Uint8Array): Uint8Array {
  const der = createPublicKey(x25519PrivateKey(privateKey)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - 32));
}

/**
 * The key agreement of one private key with any number of raw public keys; 32 secret bytes each.
 * The returned function throws SECAGG_KEY_WEAK for a public key of small order (all-zero secret).
 */
export function x25519Agreement(privateKey: Uint8Array): (peerKey: Uint8Array) => Uint8Array {
  const own = x25519PrivateKey(privateKey);
  return (peerKey) => {
    let secret: Uint8Array;
    try {
      secret = new Uint8Array(
        diffieHellman({ privateKey: own, publicKey: publicKey('X25519', peerKey) }),
      );
    } catch (cause) {
      throw new MedleyError('SECAGG_KEY_WEAK', 'key agreement failed', { cause });
    }
    if (secret.every((byte) => byte === 0)) {
      throw new MedleyError('SECAGG_KEY_WEAK', 'key agreement gave zero');
    }
    return secret;
  };
}

/** True for an X25519 public key of small order or not in its one canonical encoding. */
export function isWeakKey(rawPublicKey: Uint8Array): boolean {
  const u = BigInt(`0x${Buffer.from(rawPublicKey).reverse().toString('hex')}`);
  return u >= CURVE_PRIME || SMALL_ORDER.includes(u);
}

// Raw keys enter as JSON Web Keys (RFC 8037), which takes about 8 µs where DER takes 80 to 360.

function x25519PrivateKey(raw: Uint8Array) {
  // The public half is not read for a private key, but must be a text.
  const key = { kty: 'OKP', crv: 'X25519', x: '', d: base64url(raw) };
  return createPrivateKey({ key, format: 'jwk' });
}

function publicKey(crv: 'X25519' | 'Ed25519', raw: Uint8Array) {
  return createPublicKey({ key: { kty: 'OKP', crv, x: base64url(raw) }, format: 'jwk' });
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
