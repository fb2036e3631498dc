import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, seededRng, utf8 } from '@medley/kit';
import {
  SMALL_ORDER,
  createIdentity,
  isIdentityKey,
  openIdentity,
  verifyIdentity,
} from './identity.ts';
import { encryptPrivateKey } from './key.ts';

const created = createIdentity();
const identity = openIdentity(created.privateKeyPem);
const coded = (code: string): unknown => expect.objectContaining({ name: 'MedleyError', code });

describe('identities', () => {
  test('sign what their public key verifies', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (message) => {
        const signature = identity.sign(message);
        expect(signature).toHaveLength(64);
        expect(verifyIdentity(created.publicKey, message, signature)).toBe(true);
      }),
    );
  });

  test('agree with RFC 8032 section 7.1, test 2', () => {
    const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
    const der = Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex').toString('base64');
    const known = openIdentity(`-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
    expect(Buffer.from(known.publicKey).toString('hex')).toBe(
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    );
    expect(Buffer.from(known.sign(Uint8Array.of(0x72))).toString('hex')).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
        '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
  });

  test('do not verify a changed message, signature or key', () => {
    const message = utf8('charter');
    const signature = identity.sign(message);
    const flip = (bytes: Uint8Array, at: number): Uint8Array =>
      bytes.map((octet, i) => (i === at ? octet ^ 1 : octet));
    for (let at = 0; at < 64; at++) {
      expect(verifyIdentity(created.publicKey, message, flip(signature, at))).toBe(false);
    }
    for (let at = 0; at < 32; at++) {
      expect(verifyIdentity(flip(created.publicKey, at), message, signature)).toBe(false);
    }
    expect(verifyIdentity(created.publicKey, utf8('Charter'), signature)).toBe(false);
  });

  test('malformed keys and signatures are false, never an error', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ minLength: 32, maxLength: 33 }),
        fc.uint8Array({ minLength: 63, maxLength: 65 }),
        (message, key, signature) => {
          expect(verifyIdentity(key, message, signature)).toBe(false);
        },
      ),
    );
  });

  test('open encrypted, and only as Ed25519', () => {
    const sealed = encryptPrivateKey(created.privateKeyPem, 'a long passphrase', seededRng('id'));
    expect(openIdentity(sealed, 'a long passphrase').publicKey).toEqual(created.publicKey);
    expect(() => openIdentity(sealed, 'another passphrase')).toThrow(coded('PKI_PASSPHRASE_WRONG'));
    expect(() => openIdentity('nothing')).toThrow(coded('PKI_KEY_INVALID'));
    const x25519 =
      '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n-----END PRIVATE KEY-----\n';
    expect(() => openIdentity(x25519)).toThrow(coded('PKI_KEY_INVALID'));
  });
});

describe('points of small order', () => {
  const P = 2n ** 255n - 19n;
  const mod = (n: bigint): bigint => ((n % P) + P) % P;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (let e = exponent, b = base; e > 0n; e >>= 1n, b = mod(b * b))
      if (e & 1n) result = mod(result * b);
    return result;
  };
  const d = mod(-121665n * power(121666n, P - 2n));

  test('the list has every y whose point vanishes when doubled three times', () => {
    const ys = SMALL_ORDER.map((hex) =>
      mod(BigInt(`0x${Buffer.from(fromHex(hex)!).reverse().toString('hex')}`)),
    );
    // y = ±1: orders 1 and 2; y = 0: order 4; order 8 doubles to y = 0, where x² = −y² gives dy⁴ + 2y² = 1.
    const eighth = ys.filter((y) => mod(d * power(y, 4n) + 2n * y * y) === 1n);
    expect(new Set(eighth).size).toBe(2);
    expect(new Set(ys)).toEqual(new Set([0n, 1n, P - 1n, ...eighth]));
  });

  test('can be no identity, with either sign', () => {
    for (const hex of SMALL_ORDER) {
      const key = fromHex(hex)!;
      expect(isIdentityKey(key)).toBe(false);
      key[31] = key[31]! | 0x80;
      expect(isIdentityKey(key)).toBe(false);
    }
    expect(isIdentityKey(created.publicKey)).toBe(true);
  });

  test('leaves a Buffer as it was, whatever the sign bit says', () => {
    // Half of all keys have the highest bit set; a Buffer's slice would share memory with it.
    for (let i = 0; i < 16; i++) {
      const key = Buffer.from(createIdentity().publicKey);
      const before = key.toString('hex');
      expect(isIdentityKey(key)).toBe(true);
      expect(key.toString('hex')).toBe(before);
    }
  });

  test('the signature that fits every message under the neutral point is refused', () => {
    const neutral = fromHex(SMALL_ORDER[1]!)!;
    const signature = new Uint8Array(64);
    signature.set(neutral);
    expect(verifyIdentity(neutral, utf8('anything'), signature)).toBe(false);
  });
});
