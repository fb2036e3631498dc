import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import {
  MedleyError,
  concatBytes,
  equalBytes,
  fromBase64,
  sha256,
  toBase64,
  toHex,
  utf8,
} from '@medley/kit';

/**
 * What a key signs, by the type byte of C2SP signed-note: `log` signs the note text itself (0x01,
 * Ed25519), `witness` signs it with a time before it (0x04, C2SP tlog-cosignature).
 */
export const KEY_TYPE = { log: 0x01, witness: 0x04 } as const;

/** Whether a key speaks as the log or as a witness of it. */
export type KeyRole = keyof typeof KEY_TYPE;

/**
 * An Ed25519 key that signs checkpoints. `name` should be a URL without scheme; `publicKey` has 32
 * bytes; `sign` returns 64 and may reach a key that never leaves its store.
 */
export interface LogKey {
  readonly name: string;
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

/**
 * The key of a witness. Each witness needs a public key of its own: the message of a cosignature
 * does not name the witness (C2SP tlog-cosignature, "Ed25519 signed message").
 */
export type WitnessKey = LogKey;

/** A key one trusts. `keyId` is 8 lower-case hex digits; name and id together find its signatures. */
export interface VerifierKey {
  readonly name: string;
  readonly role: KeyRole;
  readonly publicKey: Uint8Array;
  readonly keyId: string;
}

const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
// RFC 8410 section 7: PrivateKeyInfo of an Ed25519 seed, all but the seed.
const PKCS8_PREFIX = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);

/** The verifier key of `name`. Throws MERKLE_KEY_INVALID for a bad name or a key that is not 32 bytes. */
export function verifierKey(role: KeyRole, name: string, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name))
    throw new MedleyError(
      'MERKLE_KEY_INVALID',
      'key name is empty or has a space, plus or control',
    );
  if (publicKey.length !== PUBLIC_KEY_BYTES) {
    throw new MedleyError(
      'MERKLE_KEY_INVALID',
      `public key of ${name} has ${publicKey.length} bytes, not 32`,
    );
  }
  const material = concatBytes(Uint8Array.of(KEY_TYPE[role]), publicKey);
  const keyId = toHex(sha256(utf8(`${name}\n`), material).subarray(0, 4));
  return { name, role, publicKey: new Uint8Array(publicKey), keyId };
}

/** `name+keyId+base64(type || key)`, the verifier key text of C2SP signed-note. */
export function formatVerifierKey(key: VerifierKey): string {
  const material = concatBytes(Uint8Array.of(KEY_TYPE[key.role]), key.publicKey);
  return `${key.name}+${key.keyId}+${toBase64(material)}`;
}

/**
 * Reads what {@link formatVerifierKey} writes. Throws MERKLE_KEY_INVALID when the text is anything
 * else, its type is neither 0x01 nor 0x04, or its key id is not the one of the key.
 */
export function parseVerifierKey(text: string): VerifierKey {
  // Base64 may hold plus signs, names and ids cannot: the first two separate.
  const [, name, keyId, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/su.exec(text) ?? [];
  const material = encoded === undefined ? undefined : fromBase64(encoded);
  const role = roleOf(material?.[0]);
  if (name === undefined || material === undefined || role === undefined) {
    throw new MedleyError(
      'MERKLE_KEY_INVALID',
      'verifier key is not name+id+base64 of a known type',
    );
  }
  const key = verifierKey(role, name, material.subarray(1));
  if (key.keyId !== keyId)
    throw new MedleyError('MERKLE_KEY_INVALID', `key id of ${name} is not the one of its key`);
  return key;
}

/** A signing key from its 32 byte seed (RFC 8032). Throws MERKLE_KEY_INVALID. */
export function logKeyFromSeed(name: string, seed: Uint8Array): LogKey {
  if (seed.length !== 32)
    throw new MedleyError('MERKLE_KEY_INVALID', `seed of ${name} does not have 32 bytes`);
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  return logKeyFromPrivateKey(name, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
}

/** A signing key from a private Ed25519 KeyObject. Throws MERKLE_KEY_INVALID when it is another. */
export function logKeyFromPrivateKey(name: string, privateKey: KeyObject): LogKey {
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new MedleyError('MERKLE_KEY_INVALID', `key of ${name} is not a private Ed25519 key`);
  }
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const publicKey = new Uint8Array(spki.subarray(-PUBLIC_KEY_BYTES));
  return { name, publicKey, sign: (message) => new Uint8Array(sign(null, message, privateKey)) };
}

/** The verifier key that others use for what `key` signs in `role`. Throws MERKLE_KEY_INVALID. */
export function verifierKeyOf(role: KeyRole, key: LogKey): VerifierKey {
  return verifierKey(role, key.name, key.publicKey);
}

/** Ed25519 over `message`, checked: a wrong signature would be a poisoned log. Throws MERKLE_KEY_INVALID. */
export function signMessage(key: LogKey, message: Uint8Array): Uint8Array {
  const signature = key.sign(message);
  if (!isSignature(key.publicKey, message, signature)) {
    throw new MedleyError(
      'MERKLE_KEY_INVALID',
      `signer ${key.name} gave a signature its public key refuses`,
    );
  }
  return signature;
}

/** True when `signature` is the Ed25519 signature of `message` (RFC 8032); never throws. */
export function isSignature(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const x = Buffer.from(publicKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(null, message, key, signature);
}

/** True for the same name, role and key. */
export function isSameKey(a: VerifierKey, b: VerifierKey): boolean {
  return a.name === b.name && a.role === b.role && equalBytes(a.publicKey, b.publicKey);
}

/** True for a name that C2SP signed-note allows: not empty, no Unicode space, plus sign or control. */
export function isKeyName(name: string): boolean {
  return name !== '' && isNoteUnicode(name) && !/[\p{White_Space}+]/u.test(name);
}

/** True for text that UTF-8 can carry and that has no ASCII control but the newline (C2SP signed-note). */
export function isNoteUnicode(text: string): boolean {
  for (const character of text) if (character < ' ' && character !== '\n') return false;
  return !/\p{Surrogate}/u.test(text);
}

function roleOf(type: number | undefined): KeyRole | undefined {
  if (type === KEY_TYPE.log) return 'log';
  return type === KEY_TYPE.witness ? 'witness' : undefined;
}
