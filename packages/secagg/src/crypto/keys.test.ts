import { describe, expect, test } from '@jest/globals';
import { fromHex, seededRng, toHex } from '@medley/kit';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { isWeakKey, verifyIdentity, x25519Agreement, x25519Public } from './keys.ts';

const hex = (text: string) => fromHex(text)!;
const P = 2n ** 255n - 19n;
const littleEndian = (value: bigint) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());

describe('X25519', () => {
  // RFC 7748 section 6.1.
  const alice = hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const bob = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');

  test('agrees as in RFC 7748 section 6.1', () => {
    const [a, b] = [x25519Public(alice), x25519Public(bob)];
    expect(toHex(a)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(toHex(b)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(toHex(x25519Agreement(alice)(b))).toBe(shared);
    expect(toHex(x25519Agreement(bob)(a))).toBe(shared);
  });

  test('multiplies as in RFC 7748 section 5.2', () => {
    const cases = [
      [
        'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
        'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
        'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
      ],
      [
        '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
        'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
        '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
      ],
    ] as const;
    for (const [scalar, u, result] of cases) {
      expect(toHex(x25519Agreement(hex(scalar))(hex(u)))).toBe(result);
    }
  });

  test('refuses public keys of small order, in any encoding', () => {
    const eight = 39382357235489614581723060781553021112529911719440698176882885853963445705823n;
    const other = 325606250916557431795983626356110631294008115727848805560023387167927233504n;
    const agree = x25519Agreement(seededRng('weak').bytes(32));
    for (const u of [0n, 1n, other, eight, P - 1n, P, P + 1n]) {
      expect(isWeakKey(littleEndian(u))).toBe(true);
      expect(codeOf(() => agree(littleEndian(u)))).toBe('SECAGG_KEY_WEAK');
    }
  });

  test('takes no second encoding of a good key', () => {
    const good = x25519Public(seededRng('good').bytes(32));
    expect(isWeakKey(good)).toBe(false);
    const highBit = good.slice();
    highBit[31]! |= 0x80;
    expect(isWeakKey(highBit)).toBe(true);
    expect(isWeakKey(littleEndian(P + 9n))).toBe(true);
  });
});

describe('Ed25519', () => {
  // RFC 8032 section 7.1, tests 1 and 3.
  const cases = [
    [
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ] as const;

  test('verifies the signatures of RFC 8032 section 7.1 and no altered ones', () => {
    for (const [key, message, signature] of cases) {
      expect(verifyIdentity(hex(key), hex(message), hex(signature))).toBe(true);
      expect(verifyIdentity(hex(key), hex(`${message}00`), hex(signature))).toBe(false);
      const altered = hex(signature);
      altered[0]! ^= 1;
      expect(verifyIdentity(hex(key), hex(message), altered)).toBe(false);
    }
  });

  test('answers false for a key that is no point', () => {
    const [, message, signature] = cases[0];
    const noPoint = new Uint8Array(32).fill(0xff);
    expect(verifyIdentity(noPoint, hex(message), hex(signature))).toBe(false);
  });
});
