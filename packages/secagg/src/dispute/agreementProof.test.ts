import { describe, expect, test } from '@jest/globals';
import { seededRng, toHex } from '@medley/kit';
import { x25519Agreement, x25519Public } from '../crypto/keys.ts';
import { isAgreementProven, proveAgreement, type Agreement } from './agreementProof.ts';
import {
  add,
  BASE,
  bytesOf,
  decodePoint,
  encodePoint,
  GROUP_ORDER,
  isInGroup,
  keyBelow,
  multiply,
  numberOf,
  pointAbove,
} from './edwards.ts';

const rng = seededRng('agreement');
const sid = new Uint8Array(32).fill(7);
/** u-coordinates on the twist: 2 is the smallest. */
const ON_TWIST = bytesOf(2n);
/** A point of order 8 (RFC 7748 section 6.1 lists its u-coordinate). */
const ORDER_EIGHT =
  bytesOf(325606250916557431795983626356110631294008115727848805560023387167927233504n);

function agreementOf(peerKey: Uint8Array, privateKey = rng.bytes(32)) {
  const proverKey = x25519Public(privateKey);
  const agreed = x25519Agreement(privateKey)(peerKey);
  const agreement: Agreement = { sid, prover: 1, peer: 2, proverKey, peerKey, agreed };
  return { agreement, privateKey };
}

describe('edwards25519', () => {
  test('encodes the base point as RFC 8032 does', () => {
    expect(toHex(encodePoint(BASE))).toBe(`58${'66'.repeat(31)}`);
    expect(isInGroup(BASE)).toBe(true);
    expect(toHex(encodePoint(multiply(GROUP_ORDER + 1n, BASE)))).toBe(toHex(encodePoint(BASE)));
  });

  test('multiplies as the platform’s X25519 does, for random keys', () => {
    for (let i = 0; i < 5; i++) {
      const [mine, theirs] = [rng.bytes(32), rng.bytes(32)];
      const scalar = (numberOf(mine) & ~7n & (2n ** 255n - 1n)) | (2n ** 254n);
      const peerKey = x25519Public(theirs);
      expect(keyBelow(multiply(scalar, BASE))).toEqual(x25519Public(mine));
      const shared = multiply(scalar, pointAbove(peerKey)!);
      expect(keyBelow(shared)).toEqual(x25519Agreement(mine)(peerKey));
    }
  });

  test('decodes what it encoded and refuses points off the curve and other forms', () => {
    const point = multiply(12345n, BASE);
    expect(encodePoint(decodePoint(encodePoint(point))!)).toEqual(encodePoint(point));
    expect(decodePoint(bytesOf(2n ** 255n - 19n))).toBeUndefined();
    expect(decodePoint(bytesOf(2n))).toBeUndefined();
    expect(pointAbove(ON_TWIST)).toBeUndefined();
  });
});

describe('a proof of agreement', () => {
  test('is accepted for the right secret', () => {
    const { agreement, privateKey } = agreementOf(x25519Public(rng.bytes(32)));
    const proof = proveAgreement(privateKey, agreement, rng)!;
    expect(isAgreementProven(agreement, proof)).toBe(true);
  });

  test('is accepted for a peer’s key with a part of small order, which changes no secret', () => {
    const clean = pointAbove(x25519Public(rng.bytes(32)))!;
    const peerKey = keyBelow(add(clean, pointAbove(ORDER_EIGHT)!));
    const { agreement, privateKey } = agreementOf(peerKey);
    const proof = proveAgreement(privateKey, agreement, rng)!;
    expect(isAgreementProven(agreement, proof)).toBe(true);
  });

  test('cannot be made for a key on the twist', () => {
    const { agreement, privateKey } = agreementOf(ON_TWIST);
    expect(proveAgreement(privateKey, agreement, rng)).toBeUndefined();
    expect(isAgreementProven(agreement, new Uint8Array(128))).toBe(false);
  });

  test('is refused for any other secret, key, party or session', () => {
    const { agreement, privateKey } = agreementOf(x25519Public(rng.bytes(32)));
    const proof = proveAgreement(privateKey, agreement, rng)!;
    const changes: Partial<Agreement>[] = [
      { agreed: x25519Public(rng.bytes(32)) },
      { proverKey: x25519Public(rng.bytes(32)) },
      { peerKey: x25519Public(rng.bytes(32)) },
      { prover: 3 },
      { peer: 3 },
      { sid: new Uint8Array(32) },
    ];
    for (const change of changes) {
      expect(isAgreementProven({ ...agreement, ...change }, proof)).toBe(false);
    }
  });

  test('is refused when a liar claims a secret of its own making, with a proof for that', () => {
    const { agreement, privateKey } = agreementOf(x25519Public(rng.bytes(32)));
    const agreed = keyBelow(multiply(99n, BASE));
    const lie = { ...agreement, agreed };
    expect(isAgreementProven(lie, proveAgreement(privateKey, lie, rng)!)).toBe(false);
    // Nor when the shared point is moved by a point of small order.
    const honest = proveAgreement(privateKey, agreement, rng)!;
    const moved = add(decodePoint(honest.slice(32, 64))!, pointAbove(ORDER_EIGHT)!);
    for (let tries = 0; tries < 16; tries++) {
      const proof = proveAgreement(privateKey, { ...lie, agreed: keyBelow(moved) }, rng)!;
      proof.set(encodePoint(moved), 32);
      expect(isAgreementProven({ ...lie, agreed: keyBelow(moved) }, proof)).toBe(false);
    }
  });

  test('is refused with any byte changed, and for bytes that are no proof', () => {
    const { agreement, privateKey } = agreementOf(x25519Public(rng.bytes(32)));
    const proof = proveAgreement(privateKey, agreement, rng)!;
    for (const at of [0, 31, 40, 63, 64, 100, 127]) {
      const bent = proof.slice();
      bent[at]! ^= 1;
      expect(isAgreementProven(agreement, bent)).toBe(false);
    }
    for (const bytes of [new Uint8Array(), new Uint8Array(128), new Uint8Array(128).fill(255)]) {
      expect(isAgreementProven(agreement, bytes)).toBe(false);
    }
  });
});
