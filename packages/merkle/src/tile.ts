import { MedleyError, concatBytes } from '@medley/kit';
import { Frontier } from './frontier.ts';
import { HASH_BYTES, isHash } from './hash.ts';
import { isSize } from './range.ts';
import type { HashSource } from './tree.ts';

/** Hashes in a full tile, entries in a full bundle. C2SP tlog-tiles, "Merkle Tree". */
export const TILE_WIDTH = 256;

const TILE_HEIGHT = 8;
const MAX_LEVEL = 63;

/**
 * Tile `index` of tile level `level` (0 holds leaf hashes; each level above, hashes of full tiles
 * below); `width` in [1, 256] counts its hashes, 256 being full.
 */
export interface Tile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** Bundle `index` of the entries [256 * index, 256 * index + width), `width` in [1, 256]. */
export type Bundle = Omit<Tile, 'level'>;

/** What a path of a tiled log names. */
export type TileAddress =
  ({ readonly kind: 'tile' } & Tile) | ({ readonly kind: 'entries' } & Bundle);

/** `tile/<L>/<N>[.p/<W>]`; index 1234067 is x001/x234/067. Throws MERKLE_RANGE. C2SP tlog-tiles. */
export function tilePath(tile: Tile): string {
  if (!isSize(tile.level) || tile.level > MAX_LEVEL) outOfRange(`tile level ${String(tile.level)}`);
  return `tile/${tile.level}/${indexPath(tile)}`;
}

/** `tile/entries/<N>[.p/<W>]`. Throws MERKLE_RANGE. C2SP tlog-tiles, "Log entries". */
export function entriesPath(bundle: Bundle): string {
  return `tile/entries/${indexPath(bundle)}`;
}

/** Reads what {@link tilePath} and {@link entriesPath} write, and nothing else. Throws MERKLE_TILE_MALFORMED. */
export function parseTilePath(path: string): TileAddress {
  const match =
    /^tile\/(entries|[0-9]{1,2})\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([0-9]{1,3}))?$/.exec(path);
  const [, folder, digits, widthText] = match ?? [];
  if (folder === undefined || digits === undefined) return malformed('path');
  const bundle = {
    index: Number(digits.replace(/[x/]/g, '')),
    width: widthText === undefined ? TILE_WIDTH : Number(widthText),
  };
  const address: TileAddress =
    folder === 'entries'
      ? { kind: 'entries', ...bundle }
      : { kind: 'tile', level: Number(folder), ...bundle };
  // Leading zeroes and widths out of range are caught by writing it again.
  if (!isTile(bundle) || Number(folder) > MAX_LEVEL || addressPath(address) !== path)
    malformed('path');
  return address;
}

/**
 * The tiles of a tree of `size` leaves that a tree of `sinceSize` does not have, level by level.
 * Throws MERKLE_RANGE unless 0 <= sinceSize <= size.
 */
export function* tilesFor(size: number, sinceSize = 0): Generator<Tile> {
  checkGrowth(size, sinceSize);
  let level = 0;
  let [count, since] = [size, sinceSize];
  while (count > 0) {
    for (const bundle of spans(count, since)) yield { level, ...bundle };
    [count, since] = [Math.floor(count / TILE_WIDTH), Math.floor(since / TILE_WIDTH)];
    level += 1;
  }
}

/** The entry bundles of a log of `size` entries that one of `sinceSize` does not have. Throws MERKLE_RANGE. */
export function* bundlesFor(size: number, sinceSize = 0): Generator<Bundle> {
  checkGrowth(size, sinceSize);
  yield* spans(size, sinceSize);
}

/** The bytes of a tile: its hashes one after the other. Throws MERKLE_RANGE and what the source throws. */
export function readTile(source: HashSource, tile: Tile): Uint8Array {
  if (!isSize(tile.level) || !isTile(tile)) outOfRange('tile');
  const first = tile.index * TILE_WIDTH;
  return formatTile(
    Array.from({ length: tile.width }, (_, i) => source(tile.level * TILE_HEIGHT, first + i)),
  );
}

/** The bytes of 1 to 256 hashes of 32 bytes. Throws MERKLE_RANGE. */
export function formatTile(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length < 1 || hashes.length > TILE_WIDTH || !hashes.every(isHash))
    outOfRange('hashes of a tile');
  return concatBytes(...hashes);
}

/** The `width` hashes of a tile, views of `bytes`. Throws MERKLE_TILE_MALFORMED on any other length. */
export function parseTile(bytes: Uint8Array, width: number): readonly Uint8Array[] {
  if (bytes.length !== width * HASH_BYTES) malformed(`${bytes.length} bytes, not ${width} hashes`);
  return Array.from({ length: width }, (_, i) =>
    bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
}

/**
 * The tree of `size` leaves read from tiles; `load` returns the bytes of the tile asked for. Throws
 * MERKLE_RANGE beyond the size, MERKLE_TILE_MALFORMED. Tiles are not verified: check the root first.
 */
export function tileSource(size: number, load: (tile: Tile) => Uint8Array): HashSource {
  if (!isSize(size)) outOfRange('tree size');
  return (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const count = Math.floor(size / TILE_WIDTH ** tileLevel);
    const span = 2 ** (level % TILE_HEIGHT);
    const first = index * span;
    if (first + span > count) outOfRange(`subtree ${level}/${index} in size ${size}`);
    const tileIndex = Math.floor(first / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, count - tileIndex * TILE_WIDTH);
    const hashes = parseTile(load({ level: tileLevel, index: tileIndex, width }), width);
    const subtree = new Frontier();
    const offset = first - tileIndex * TILE_WIDTH;
    for (const hash of hashes.slice(offset, offset + span)) subtree.append(hash);
    return subtree.root();
  };
}

function* spans(count: number, since: number): Generator<Bundle> {
  if (count === since) return;
  for (let index = Math.floor(since / TILE_WIDTH); index * TILE_WIDTH < count; index++) {
    yield { index, width: Math.min(TILE_WIDTH, count - index * TILE_WIDTH) };
  }
}

function indexPath(bundle: Bundle): string {
  if (!isTile(bundle)) outOfRange('tile index or width');
  const digits = String(bundle.index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return bundle.width === TILE_WIDTH ? path : `${path}.p/${bundle.width}`;
}

function addressPath(address: TileAddress): string {
  return address.kind === 'tile' ? tilePath(address) : entriesPath(address);
}

function isTile({ index, width }: Bundle): boolean {
  return isSize(index) && isSize(width) && width >= 1 && width <= TILE_WIDTH;
}

function checkGrowth(size: number, sinceSize: number): void {
  if (!isSize(size) || !isSize(sinceSize) || sinceSize > size) outOfRange('tree sizes');
}

function outOfRange(what: string): never {
  throw new MedleyError('MERKLE_RANGE', `${what} out of range`);
}

function malformed(what: string): never {
  throw new MedleyError('MERKLE_TILE_MALFORMED', `tile: ${what}`);
}
