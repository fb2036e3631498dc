import { MedleyError } from '@medley/kit';
import { MAX_ROSTER } from '../session.ts';

function malformed(what: string): never {
  throw new MedleyError('SECAGG_MESSAGE_MALFORMED', what);
}

/** `value` as a record of unknown fields. Each reader here throws SECAGG_MESSAGE_MALFORMED. */
export function recordOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return malformed(`${what} is no object`);
  }
  return { ...value };
}

/** A plain copy of exactly `length` bytes; takes Node's Buffer as well. */
export function bytesOf(value: unknown, length: number, what: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) {
    return malformed(`${what} is not ${length} bytes`);
  }
  return Uint8Array.from(value);
}

/** A roster index, 1…{@link MAX_ROSTER}. */
export function indexOf(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_ROSTER) {
    return malformed(`${what} is no silo index`);
  }
  return value;
}

/** A list of at most {@link MAX_ROSTER} decoded items. */
export function listOf<Item>(
  value: unknown,
  what: string,
  decode: (item: unknown, what: string) => Item,
): readonly Item[] {
  if (!Array.isArray(value) || value.length > MAX_ROSTER) {
    return malformed(`${what} is no list of at most ${MAX_ROSTER}`);
  }
  return Array.from(value, (item: unknown, i) => decode(item, `${what}[${i}]`));
}

/** The same list, refused unless its keys rise strictly: one order on the wire, no duplicates. */
export function ascendingBy<Item>(
  items: readonly Item[],
  key: (item: Item) => number,
  what: string,
): readonly Item[] {
  for (let i = 1; i < items.length; i++) {
    if (key(items[i]!) <= key(items[i - 1]!)) malformed(`${what} is not strictly ascending`);
  }
  return items;
}

/** A set of silos in strictly ascending order. */
export function siloSetOf(value: unknown, what: string): readonly number[] {
  return ascendingBy(listOf(value, what, indexOf), (index) => index, what);
}
