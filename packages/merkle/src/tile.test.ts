import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isMedleyError, utf8 } from '@medley/kit';
import {
  appendBundle,
  formatBundle,
  MAX_ENTRY_BYTES,
  parseBundle,
  rootFromBundles,
  verifyBundles,
} from './bundle.ts';
import { Frontier } from './frontier.ts';
import { leafHash } from './hash.ts';
import {
  bundlesFor,
  entriesPath,
  formatTile,
  parseTile,
  parseTilePath,
  readTile,
  tilePath,
  tileSource,
  tilesFor,
  type Tile,
} from './tile.ts';
import { inclusionProof, MerkleTree, treeRoot } from './tree.ts';

const outOfRange = expect.objectContaining({ code: 'MERKLE_RANGE' });
const malformed = expect.objectContaining({ code: 'MERKLE_TILE_MALFORMED' });

describe('paths', () => {
  // C2SP tlog-tiles and transparency-dev/tessera api/layout/paths_test.go.
  test.each([
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 0, width: 8 }, 'tile/0/000.p/8'],
    [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 1, index: 1_234_067, width: 8 }, 'tile/1/x001/x234/067.p/8'],
    [{ level: 15, index: 455_667, width: 256 }, 'tile/15/x455/667'],
    [{ level: 63, index: 999, width: 255 }, 'tile/63/999.p/255'],
    [{ level: 2, index: 1000, width: 1 }, 'tile/2/x001/000.p/1'],
    [
      { level: 3, index: Number.MAX_SAFE_INTEGER, width: 256 },
      'tile/3/x009/x007/x199/x254/x740/991',
    ],
  ])('%j is %s', (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual({ kind: 'tile', ...tile });
  });

  test('of entry bundles are like those of tiles', () => {
    expect(entriesPath({ index: 1_234_067, width: 256 })).toBe('tile/entries/x001/x234/067');
    expect(parseTilePath('tile/entries/000.p/15')).toEqual({
      kind: 'entries',
      index: 0,
      width: 15,
    });
  });

  test('are refused in every other form', () => {
    for (const path of [
      '',
      'tile/0/0',
      'tile/0/0000',
      'tile/00/000',
      'tile/64/000',
      'tile/-1/000',
      'tile/0/x000/001',
      'tile/0/001/x234',
      'tile/0/1/234',
      'tile/0/000.p/0',
      'tile/0/000.p/256',
      'tile/0/000.p/08',
      'tile/0/000/',
      'tile/0/000.p/8\n',
      '/tile/0/000',
      'tile/0/../000',
      'tile/entries/x999/x999/x999/x999/x999/999',
    ]) {
      expect(() => parseTilePath(path)).toThrow(malformed);
    }
  });

  test('are not written for what is no tile', () => {
    for (const wrong of [
      { level: 64 },
      { level: -1 },
      { index: -1 },
      { index: 0.5 },
      { width: 0 },
      { width: 257 },
    ]) {
      expect(() => tilePath({ level: 0, index: 0, width: 1, ...wrong })).toThrow(outOfRange);
    }
  });
});

describe('tilesFor', () => {
  const count = (tiles: Iterable<Tile>) => {
    const counts: Record<string, number> = {};
    for (const { level, width } of tiles) {
      counts[`${level}/${width}`] = (counts[`${level}/${width}`] ?? 0) + 1;
    }
    return counts;
  };

  test('lists the examples of the specification', () => {
    expect(count(tilesFor(70_000))).toEqual({
      '0/256': 273,
      '0/112': 1,
      '1/256': 1,
      '1/17': 1,
      '2/1': 1,
    });
    expect(count(tilesFor(256))).toEqual({ '0/256': 1, '1/1': 1 });
    expect([...tilesFor(0)]).toEqual([]);
  });

  test('lists only what has changed since a smaller size', () => {
    expect([...tilesFor(257, 256)]).toEqual([{ level: 0, index: 1, width: 1 }]);
    expect([...tilesFor(512, 257)]).toEqual([
      { level: 0, index: 1, width: 256 },
      { level: 1, index: 0, width: 2 },
    ]);
    expect([...tilesFor(300, 300)]).toEqual([]);
    expect([...bundlesFor(512, 256)]).toEqual([{ index: 1, width: 256 }]);
    expect(() => [...tilesFor(1, 2)]).toThrow(outOfRange);
    expect(() => [...bundlesFor(NaN)]).toThrow(outOfRange);
  });

  test('together with what was there gives every tile, however the log grew', () => {
    fc.assert(
      fc.property(fc.nat(140_000), fc.nat(140_000), (a, b) => {
        const [small, large] = a < b ? [a, b] : [b, a];
        const grown = new Set([...tilesFor(small), ...tilesFor(large, small)].map(tilePath));
        expect([...tilesFor(large)].every((tile) => grown.has(tilePath(tile)))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe('tiles', () => {
  const size = 66_000;
  const tree = new MerkleTree(Array.from({ length: size }, (_, i) => leafHash(utf8(String(i)))));

  test('hold the whole tree: root and proofs come out of them', () => {
    const stored = new Map(
      [...tilesFor(size)].map((tile) => [tilePath(tile), readTile(tree.source, tile)]),
    );
    const source = tileSource(size, (tile) => stored.get(tilePath(tile))!);
    expect(treeRoot(source, size)).toEqual(tree.root());
    expect(treeRoot(source, 40_001)).toEqual(tree.root(40_001));
    for (const index of [0, 255, 256, 65_535, 65_536, 65_999]) {
      expect(inclusionProof(source, index, size)).toEqual(tree.inclusionProof(index));
    }
    expect(() => source(0, size)).toThrow(outOfRange);
    expect(() => tileSource(size, () => new Uint8Array(5))(0, 0)).toThrow(malformed);
  });

  test('are read back as they were written', () => {
    const hashes = [0, 1, 2].map((index) => tree.source(0, index));
    const bytes = formatTile(hashes);
    expect(parseTile(bytes, 3)).toEqual(hashes);
    expect(() => parseTile(bytes, 2)).toThrow(malformed);
    expect(() => parseTile(bytes.subarray(1), 3)).toThrow(malformed);
    expect(() => formatTile([])).toThrow(outOfRange);
    expect(() => formatTile([new Uint8Array(31)])).toThrow(outOfRange);
    expect(() => readTile(tree.source, { level: 0, index: 0, width: 257 })).toThrow(outOfRange);
  });
});

describe('bundles', () => {
  const entries = Array.from({ length: 600 }, (_, i) => utf8('x'.repeat(i % 7)));
  const tree = new MerkleTree(entries.map(leafHash));
  const bundles = [...bundlesFor(600)].map(({ index, width }) =>
    formatBundle(entries.slice(index * 256, index * 256 + width)),
  );

  test('hold entries of any length up to 65,535 bytes', () => {
    const sizes = [0, 1, 255, 256, MAX_ENTRY_BYTES].map((length) => new Uint8Array(length).fill(7));
    expect(parseBundle(formatBundle(sizes), 5)).toEqual(sizes);
    expect(() => formatBundle([new Uint8Array(MAX_ENTRY_BYTES + 1)])).toThrow(
      expect.objectContaining({ code: 'MERKLE_ENTRY_TOO_LARGE' }),
    );
    expect(() => formatBundle([])).toThrow(outOfRange);
    expect(() => formatBundle(new Array<Uint8Array>(257).fill(new Uint8Array()))).toThrow(
      outOfRange,
    );
  });

  test('give the root of the log by themselves', () => {
    verifyBundles(bundles, { size: 600, root: tree.root() });
    verifyBundles([], { size: 0, root: tree.root(0) });
    const frontier = new Frontier();
    bundles.forEach((bytes, i) => appendBundle(frontier, bytes, i < 2 ? 256 : 88));
    expect(frontier.root()).toEqual(tree.root());
  });

  test('do not verify once one byte of an entry is changed', () => {
    const changed = bundles.map((bytes) => new Uint8Array(bytes));
    changed[2]![changed[2]!.length - 1]! ^= 1;
    expect(() => verifyBundles(changed, { size: 600, root: tree.root() })).toThrow(
      expect.objectContaining({ code: 'MERKLE_ROOT_MISMATCH' }),
    );
  });

  test('are refused when one is missing, left over or of another width', () => {
    expect(() => rootFromBundles(bundles.slice(0, 2), 600)).toThrow(malformed);
    expect(() => rootFromBundles([...bundles, bundles[0]!], 600)).toThrow(malformed);
    expect(() => rootFromBundles(bundles, 599)).toThrow(malformed);
    expect(() => rootFromBundles(bundles, 601)).toThrow(malformed);
    expect(() => rootFromBundles(bundles, -1)).toThrow(outOfRange);
  });

  test('are read back whole, and whatever a peer sends, only coded errors come out', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(6), (bytes, width) => {
        try {
          const read = parseBundle(bytes, width);
          expect(read.reduce((sum, entry) => sum + 2 + entry.length, 0)).toBe(bytes.length);
        } catch (error) {
          expect(isMedleyError(error) && error.code).toBe('MERKLE_TILE_MALFORMED');
        }
      }),
    );
  });
});
