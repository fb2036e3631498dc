import { describe, expect, test } from '@jest/globals';
import { seededRng, toHex, type Rng } from '@medley/kit';
import fc from 'fast-check';
import { codeOf } from '../../../../tests/support/secagg.ts';
import { chiSquareOneInAMillion, chiSquareUniform } from '../../../../tests/support/statistics.ts';
import {
  FIELD_PRIME,
  combine,
  isFieldElement,
  lagrangeAt,
  lagrangeAtZero,
  randomElement,
  splitSecret,
  type Share,
} from './shamir.ts';

const number = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);
const element = (value: bigint) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
const secrets = fc.bigInt({ min: 0n, max: FIELD_PRIME - 1n });

/** Independent reference: solves the Vandermonde system by Gauss and Fermat inverses. */
function solveForSecret(shares: readonly Share[]): bigint {
  const p = FIELD_PRIME;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (let b = base % p, e = exponent; e > 0n; e >>= 1n, b = (b * b) % p) {
      if (e & 1n) result = (result * b) % p;
    }
    return result;
  };
  const rows = shares.map(({ index, share }) => [
    ...shares.map((_, k) => power(BigInt(index), BigInt(k))),
    number(share),
  ]);
  for (let i = 0; i < rows.length; i++) {
    const pivot = power(rows[i]![i]!, p - 2n);
    rows[i] = rows[i]!.map((value) => (value * pivot) % p);
    for (let j = 0; j < rows.length; j++) {
      if (j === i) continue;
      const factor = rows[j]![i]!;
      rows[j] = rows[j]!.map((value, k) => (((value - factor * rows[i]![k]!) % p) + p) % p);
    }
  }
  return rows[0]!.at(-1)!;
}

describe('splitSecret', () => {
  const cases = fc.integer({ min: 1, max: 9 }).chain((n) =>
    fc.record({
      secret: secrets,
      t: fc.integer({ min: 1, max: n }),
      order: fc.shuffledSubarray(
        Array.from({ length: n }, (_, i) => i + 1),
        { minLength: n },
      ),
      seed: fc.string(),
    }),
  );

  test('any t of n shares give the secret back, as an independent solver finds it', () => {
    fc.assert(
      fc.property(cases, ({ secret, t, order, seed }) => {
        const indices = order.toSorted((a, b) => a - b);
        const shares = splitSecret(element(secret), t, indices, seededRng(seed));
        const chosen = order.slice(0, t).map((index) => shares.find((s) => s.index === index)!);
        const coefficients = lagrangeAtZero(chosen.map((s) => s.index));
        expect(
          number(
            combine(
              coefficients,
              chosen.map((s) => s.share),
            ),
          ),
        ).toBe(secret);
        expect(solveForSecret(chosen)).toBe(secret);
      }),
    );
  });

  test('t shares give every other share, so that a wrong one can be told', () => {
    const shares = splitSecret(element(77n), 3, [1, 2, 5, 9], seededRng('other'));
    const chosen = shares.slice(0, 3);
    const at = lagrangeAt([1, 2, 5], 9);
    expect(
      combine(
        at,
        chosen.map((s) => s.share),
      ),
    ).toEqual(shares[3]!.share);
  });

  // t − 1 = 2 shares of a fixed secret: n = 20,000 sharings, first share's low byte against second
  // share's top byte in 16 × 16 cells, chi-square with 255 degrees, false-alarm rate 10^-6.
  test.each([0n, 1n, FIELD_PRIME - 1n])('t − 1 shares of the secret %i are uniform', (secret) => {
    const rng = seededRng(`uniform ${secret}`);
    const cells = new Array<number>(256).fill(0);
    for (let i = 0; i < 20_000; i++) {
      const [first, second] = splitSecret(element(secret), 3, [1, 2, 3], rng);
      cells[(first!.share[31]! & 15) * 16 + (second!.share[0]! >> 4)]! += 1;
    }
    expect(chiSquareUniform(cells)).toBeLessThan(chiSquareOneInAMillion(255));
  });

  test('draws again when the generator gives a number above the prime', () => {
    const answers = [new Uint8Array(32).fill(0xff), element(FIELD_PRIME), element(5n)];
    const rng: Rng = { bytes: () => answers.shift()! };
    expect(number(randomElement(rng))).toBe(5n);
  });
});

describe('shares are refused', () => {
  const shares = splitSecret(element(5n), 2, [1, 2, 3], seededRng('r'));
  const cases: [string, () => unknown][] = [
    ['for an index that stands twice', () => lagrangeAtZero([1, 1])],
    ['for an index of zero, where the secret itself is', () => lagrangeAtZero([0, 1])],
    ['for no helpers', () => lagrangeAtZero([])],
    [
      'when there are fewer than coefficients',
      () => combine(lagrangeAtZero([1, 2]), [shares[0]!.share]),
    ],
    ['at or above the prime', () => combine([1n], [element(FIELD_PRIME)])],
    ['of another length', () => combine([1n], [new Uint8Array(31)])],
    [
      'with a threshold above their number',
      () => splitSecret(element(1n), 4, [1, 2, 3], seededRng('')),
    ],
    ['with a threshold of zero', () => splitSecret(element(1n), 0, [1, 2, 3], seededRng(''))],
    ['of a secret above the prime', () => splitSecret(element(FIELD_PRIME), 1, [1], seededRng(''))],
  ];
  test.each(cases)('%s', (_title, act) => {
    expect(codeOf(act)).toBe('SECAGG_SHARES_INVALID');
  });

  test('the prime is the largest below 2^256 that passes Fermat to bases 2 and 3 from 2^256 − 189 up', () => {
    expect(isFieldElement(element(FIELD_PRIME - 1n))).toBe(true);
    const fermat = (p: bigint, base: bigint): boolean => {
      let result = 1n;
      for (let b = base, e = p - 1n; e > 0n; e >>= 1n, b = (b * b) % p) {
        if (e & 1n) result = (result * b) % p;
      }
      return result === 1n;
    };
    const probable = (p: bigint) => fermat(p, 2n) && fermat(p, 3n);
    expect(probable(FIELD_PRIME)).toBe(true);
    for (let p = FIELD_PRIME + 2n; p < 2n ** 256n; p += 2n) expect(probable(p)).toBe(false);
  });
});
