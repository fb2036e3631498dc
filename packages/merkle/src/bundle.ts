import { MedleyError, concatBytes, equalBytes } from '@medley/kit';
import { Frontier } from './frontier.ts';
import { leafHash } from './hash.ts';
import { bundlesFor, TILE_WIDTH } from './tile.ts';

/** Largest entry in bytes: a bundle gives its length in a uint16. C2SP tlog-tiles, "Log entries". */
export const MAX_ENTRY_BYTES = 65_535;

const LENGTH_BYTES = 2;

/** The bundle of 1 to 256 entries. Throws MERKLE_ENTRY_TOO_LARGE, MERKLE_RANGE. C2SP tlog-tiles. */
export function formatBundle(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > TILE_WIDTH) {
    throw new MedleyError(
      'MERKLE_RANGE',
      `a bundle holds 1 to ${TILE_WIDTH} entries, not ${entries.length}`,
    );
  }
  return concatBytes(...entries.flatMap((entry) => [entryLength(entry), entry]));
}

/**
 * The `width` entries of a bundle, views of `bytes`. Throws MERKLE_TILE_MALFORMED when the bytes do
 * not hold exactly that many.
 */
export function parseBundle(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length && entries.length < width) {
    const start = at + LENGTH_BYTES;
    const end = start > bytes.length ? start : start + view.getUint16(at);
    if (end > bytes.length)
      throw new MedleyError('MERKLE_TILE_MALFORMED', `entry ${entries.length} of a bundle is cut`);
    entries.push(bytes.subarray(start, end));
    at = end;
  }
  if (entries.length !== width || at !== bytes.length) {
    throw new MedleyError(
      'MERKLE_TILE_MALFORMED',
      `a bundle does not hold exactly ${width} entries`,
    );
  }
  return entries;
}

/** Appends the leaf hashes of a bundle's `width` entries to `frontier`. Throws MERKLE_TILE_MALFORMED. */
export function appendBundle(frontier: Frontier, bytes: Uint8Array, width: number): void {
  for (const entry of parseBundle(bytes, width)) frontier.append(leafHash(entry));
}

/**
 * The root of the first `size` entries from their bundles alone, in the order of `bundlesFor(size)`
 * and of those widths. Throws MERKLE_RANGE, and MERKLE_TILE_MALFORMED also when bundles are missing
 * or left over.
 */
export function rootFromBundles(bundles: Iterable<Uint8Array>, size: number): Uint8Array {
  const frontier = new Frontier();
  const expected = bundlesFor(size);
  for (const bytes of bundles) {
    const next = expected.next();
    if (next.done === true)
      throw new MedleyError('MERKLE_TILE_MALFORMED', `more bundles than size ${size} has`);
    appendBundle(frontier, bytes, next.value.width);
  }
  if (frontier.size !== size) {
    throw new MedleyError(
      'MERKLE_TILE_MALFORMED',
      `bundles end at ${frontier.size} of ${size} entries`,
    );
  }
  return frontier.root();
}

/**
 * Returns when the bundles are the entries of the tree with this size and root (of a checkpoint that
 * was opened). Throws MERKLE_ROOT_MISMATCH and what {@link rootFromBundles} throws.
 */
export function verifyBundles(
  bundles: Iterable<Uint8Array>,
  head: { readonly size: number; readonly root: Uint8Array },
): void {
  if (!equalBytes(rootFromBundles(bundles, head.size), head.root)) {
    throw new MedleyError(
      'MERKLE_ROOT_MISMATCH',
      `entries do not give the root of size ${head.size}`,
    );
  }
}

function entryLength(entry: Uint8Array): Uint8Array {
  if (entry.length > MAX_ENTRY_BYTES) {
    throw new MedleyError(
      'MERKLE_ENTRY_TOO_LARGE',
      `entry has ${entry.length} bytes, over ${MAX_ENTRY_BYTES}`,
    );
  }
  return Uint8Array.of(entry.length >>> 8, entry.length & 0xff);
}
