import { createPrivateKey, createPublicKey, diffieHellman, verify } from 'node:crypto';
import { MedleyError, concatBytes, fromHex } from '@medley/kit';

// RFC 8410 section 4 and 7: the fixed DER around a raw 32-byte key.
const X25519_PRIVATE = '302e020100300506032b656e04220420';
const X25519_PUBLIC = '302a300506032b656e032100';
const ED25519_PUBLIC = '302a300506032b6570032100';

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
  return verify(null, message, publicKey(ED25519_PUBLIC, identityKey), signature);
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
        diffieHellman({ privateKey: own, publicKey: publicKey(X25519_PUBLIC, peerKey) }),
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

function x25519PrivateKey(raw: Uint8Array) {
  return createPrivateKey({ key: wrap(X25519_PRIVATE, raw), format: 'der', type: 'pkcs8' });
}

function publicKey(prefix: string, raw: Uint8Array) {
  return createPublicKey({ key: wrap(prefix, raw), format: 'der', type: 'spki' });
}

function wrap(prefix: string, raw: Uint8Array): Buffer {
  // The prefixes above are hex.
  return Buffer.from(concatBytes(fromHex(prefix)!, raw));
}
