/** How values of the domain stand in columns. The database has NULL, the domain undefined. */

export function fromNull<T>(value: T | null): T | undefined {
  return value ?? undefined;
}

export function orNull<T>(value: T | undefined): T | null {
  return value ?? null;
}

/** Milliseconds and byte counts stay below 2^53. */
export function numberOf(value: bigint): number {
  return Number(value);
}

export function optionalNumber(value: bigint | null): number | undefined {
  return value === null ? undefined : Number(value);
}

export function optionalBigint(value: number | undefined): bigint | null {
  return value === undefined ? null : BigInt(value);
}

/** A copy over an ArrayBuffer of its own, the only kind that Prisma's types admit. */
export function blob(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

export function optionalBlob(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | null {
  return bytes === undefined ? null : new Uint8Array(bytes);
}
