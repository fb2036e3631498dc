import { MedleyError, toHex, type Rng } from '@medley/kit';

/** The field: the largest prime below 2^256, so that a share is 32 bytes (big-endian). */
export const FIELD_PRIME = 2n ** 256n - 189n;
/** Bytes of a field element. */
export const ELEMENT_BYTES = 32;

/** One party's share: the polynomial at x = index. */
export interface Share {
  readonly index: number;
  /** Field element, 32 bytes, big-endian. */
  readonly share: Uint8Array;
}

/** True when `bytes` is the 32-byte form of a number below the field prime. */
export function isFieldElement(bytes: Uint8Array): boolean {
  return bytes.length === ELEMENT_BYTES && toNumber(bytes) < FIELD_PRIME;
}

/** A uniform field element by rejection (a second draw is needed once in 2^248). */
export function randomElement(rng: Rng): Uint8Array {
  for (;;) {
    const bytes = rng.bytes(ELEMENT_BYTES);
    if (isFieldElement(bytes)) return bytes;
  }
}

/**
 * Shares of `secret` for every index: any `threshold` of them give it back, fewer are independent
 * of it (Shamir 1979). Indices are distinct integers from 1. Throws SECAGG_SHARES_INVALID.
 */
export function splitSecret(
  secret: Uint8Array,
  threshold: number,
  indices: readonly number[],
  rng: Rng,
): Share[] {
  checkIndices(indices);
  if (!Number.isInteger(threshold) || threshold < 1 || threshold > indices.length) {
    throw new MedleyError('SECAGG_SHARES_INVALID', `${threshold} of ${indices.length} shares`);
  }
  const coefficients = [elementOf(secret, 'the secret')];
  for (let i = 1; i < threshold; i++) coefficients.push(toNumber(randomElement(rng)));
  return indices.map((index) => ({ index, share: toBytes(evaluate(coefficients, BigInt(index))) }));
}

/**
 * Lagrange coefficients at zero for this helper set, in its order: compute once, then
 * {@link combine} any number of secrets. Throws SECAGG_SHARES_INVALID.
 */
export function lagrangeAtZero(indices: readonly number[]): readonly bigint[] {
  return lagrangeAt(indices, 0);
}

/** The same at any x: what the polynomial through the helpers' shares gives there. */
export function lagrangeAt(indices: readonly number[], x: number): readonly bigint[] {
  checkIndices(indices);
  const points = indices.map(BigInt);
  const at = BigInt(x);
  return points.map((own, i) => {
    let numerator = 1n;
    let denominator = 1n;
    points.forEach((other, j) => {
      if (i === j) return;
      numerator = mod(numerator * (at - other));
      denominator = mod(denominator * (own - other));
    });
    return mod(numerator * inverse(denominator));
  });
}

/** Σ coefficient·share, 32 bytes. Shares in the order of the indices behind `coefficients`. */
export function combine(
  coefficients: readonly bigint[],
  shares: readonly Uint8Array[],
): Uint8Array {
  if (coefficients.length === 0 || coefficients.length !== shares.length) {
    throw new MedleyError(
      'SECAGG_SHARES_INVALID',
      `${shares.length} shares for ${coefficients.length} helpers`,
    );
  }
  const sum = shares.reduce(
    (total, share, i) => total + coefficients[i]! * elementOf(share, `share ${i}`),
    0n,
  );
  return toBytes(mod(sum));
}

function checkIndices(indices: readonly number[]): void {
  const sound = indices.every((index) => Number.isSafeInteger(index) && index >= 1);
  if (!sound || indices.length === 0 || new Set(indices).size !== indices.length) {
    throw new MedleyError('SECAGG_SHARES_INVALID', 'helper indices must be distinct and from 1');
  }
}

function elementOf(bytes: Uint8Array, what: string): bigint {
  if (!isFieldElement(bytes)) {
    throw new MedleyError('SECAGG_SHARES_INVALID', `${what} is no field element`);
  }
  return toNumber(bytes);
}

/** Horner's rule, lowest coefficient first. */
function evaluate(coefficients: readonly bigint[], x: bigint): bigint {
  return coefficients.reduceRight((value, coefficient) => mod(value * x + coefficient), 0n);
}

function mod(value: bigint): bigint {
  const rest = value % FIELD_PRIME;
  return rest < 0n ? rest + FIELD_PRIME : rest;
}

/** Extended Euclid; `value` is a nonzero field element. */
function inverse(value: bigint): bigint {
  let [a, b] = [value, FIELD_PRIME];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return mod(x);
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

function toBytes(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(2 * ELEMENT_BYTES, '0'), 'hex'));
}
