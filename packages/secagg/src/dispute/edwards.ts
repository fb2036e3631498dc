/** The field of Curve25519: 2^255 − 19 (RFC 7748 section 4.1). */
const P = 2n ** 255n - 19n;
/** Order of the subgroup that the base point generates (RFC 8032 section 5.1). */
export const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** A point of edwards25519 in extended coordinates (RFC 8032 section 5.1.4): x = X/Z, y = Y/Z, T = XY/Z. */
export interface Point {
  readonly X: bigint;
  readonly Y: bigint;
  readonly Z: bigint;
  readonly T: bigint;
}

const IDENTITY: Point = { X: 0n, Y: 1n, Z: 1n, T: 0n };
const D = mod(-121665n * inverse(121666n));
/** √−1. */
const I = power(2n, (P - 1n) / 4n);

/** The base point of X25519, u = 9, with the x that RFC 8032 gives it. */
export const BASE: Point = pointOf(mod(4n * inverse(5n)), 0n)!;

/** a + b (RFC 8032 section 5.1.4, complete: also for a = b). */
export function add(a: Point, b: Point): Point {
  const minus = mod((a.Y - a.X) * (b.Y - b.X));
  const plus = mod((a.Y + a.X) * (b.Y + b.X));
  const cross = mod(2n * D * a.T * b.T);
  const twice = mod(2n * a.Z * b.Z);
  const [e, f, g, h] = [plus - minus, twice - cross, twice + cross, plus + minus];
  return { X: mod(e * f), Y: mod(g * h), Z: mod(f * g), T: mod(e * h) };
}

/** −a. */
export function negate({ X, Y, Z, T }: Point): Point {
  return { X: mod(-X), Y, Z, T: mod(-T) };
}

/** k·a for k ≥ 0. Takes a time that depends on k: see the note on timing in agreementProof.ts. */
export function multiply(k: bigint, a: Point): Point {
  let sum = IDENTITY;
  let power2 = a;
  for (let rest = k; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, power2);
    power2 = add(power2, power2);
  }
  return sum;
}

export function isSame(a: Point, b: Point): boolean {
  return mod(a.X * b.Z - b.X * a.Z) === 0n && mod(a.Y * b.Z - b.Y * a.Z) === 0n;
}

/** True for a point that the base point generates, the identity excepted. */
export function isInGroup(a: Point): boolean {
  return !isSame(a, IDENTITY) && isSame(multiply(GROUP_ORDER, a), IDENTITY);
}

/**
 * A point above the raw X25519 public key `u`, by RFC 7748 section 4.1: y = (u − 1)/(u + 1), the one
 * with even x. Undefined when the key is on the twist, where no key that X25519 made can be.
 */
export function pointAbove(u: Uint8Array): Point | undefined {
  const value = numberOf(u) % 2n ** 255n;
  if (value + 1n === P) return undefined;
  return pointOf(mod((value - 1n) * inverse(value + 1n)), 0n);
}

/** The raw X25519 public key below a point: u = (1 + y)/(1 − y). */
export function keyBelow({ Y, Z }: Point): Uint8Array {
  return bytesOf(mod((Z + Y) * inverse(Z - Y)));
}

/** The 32-byte form of a point (RFC 8032 section 5.1.2). */
export function encodePoint({ X, Y, Z }: Point): Uint8Array {
  const perZ = inverse(Z);
  return bytesOf(mod(Y * perZ) | ((mod(X * perZ) & 1n) << 255n));
}

/** The point of a canonical 32-byte form (RFC 8032 section 5.1.3); undefined for other bytes. */
export function decodePoint(bytes: Uint8Array): Point | undefined {
  const value = numberOf(bytes);
  const y = value % 2n ** 255n;
  return y < P ? pointOf(y, value >> 255n) : undefined;
}

/** Little-endian. */
export function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** 32 bytes, little-endian. */
export function bytesOf(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse());
}

/** x from −x² + y² = 1 + d·x²·y²: the square root of RFC 8032 section 5.1.3. */
function pointOf(y: bigint, sign: bigint): Point | undefined {
  const square = mod((y * y - 1n) * inverse(D * y * y + 1n));
  const root = power(square, (P + 3n) / 8n);
  const x = [root, mod(root * I)].find((candidate) => mod(candidate * candidate) === square);
  if (x === undefined || (x === 0n && sign === 1n)) return undefined;
  const X = (x & 1n) === sign ? x : mod(-x);
  return { X, Y: y, Z: 1n, T: mod(X * y) };
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function inverse(value: bigint): bigint {
  return power(mod(value), P - 2n);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}
