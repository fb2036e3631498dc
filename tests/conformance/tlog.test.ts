import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { utf8 } from '@medley/kit';
import {
  MerkleTree,
  bundlesFor,
  checkpointText,
  entriesPath,
  formatBundle,
  formatNote,
  formatVerifierKey,
  leafHash,
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  readTile,
  tilePath,
  tileSource,
  tilesFor,
  verifyBundles,
  verifyConsistency,
  verifyInclusion,
} from '@medley/merkle';

const folder = new URL('../../../shared/vectors/tlog/', import.meta.url);

// transparency-dev/tessera testdata/build_log.sh and the log's verifier key.
const LEAVES =
  'one two three four five six seven eit nain ten ileven twelf threeten fourten fivten'.split(' ');
const VERIFIER = 'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx';

function stored(path: string): Buffer {
  return readFileSync(new URL(path, folder));
}

if (existsSync(fileURLToPath(folder))) {
  const key = parseVerifierKey(VERIFIER);
  const entries = LEAVES.map(utf8);
  const tree = new MerkleTree(entries.map(leafHash));
  const sizes = Array.from({ length: LEAVES.length + 1 }, (_, size) => ({ size }));

  describe('the test log of transparency-dev/tessera', () => {
    test('has a verifier key that is written as it was read', () => {
      expect(formatVerifierKey(key)).toBe(VERIFIER);
    });

    test.each(sizes)('checkpoint $size is signed over the root of its leaves', ({ size }) => {
      const text = stored(`checkpoint.${size}`).toString();
      const opened = openCheckpoint(text, [key]);
      expect(opened).toEqual({
        origin: key.name,
        size,
        root: tree.root(size),
        extensions: [],
        signers: [{ role: 'log', key }],
      });
      const { note } = parseCheckpoint(text);
      expect(formatNote({ text: checkpointText(opened), signatures: note.signatures })).toBe(text);
    });

    test('ends in its newest checkpoint', () => {
      expect(stored('checkpoint')).toEqual(stored(`checkpoint.${LEAVES.length}`));
    });

    test.each(sizes)('size $size has the same tiles and bundles byte for byte', ({ size }) => {
      const tiles = [...tilesFor(size)];
      const bundles = [...bundlesFor(size)];
      expect([tiles.length, bundles.length]).toEqual(size === 0 ? [0, 0] : [1, 1]);
      for (const tile of tiles) {
        expect(Buffer.from(readTile(tree.source, tile))).toEqual(stored(tilePath(tile)));
      }
      for (const { index, width } of bundles) {
        const bundle = formatBundle(entries.slice(index * 256, index * 256 + width));
        expect(Buffer.from(bundle)).toEqual(stored(entriesPath({ index, width })));
      }
    });

    test.each(sizes)('size $size is recomputed from its stored bundles alone', ({ size }) => {
      const head = openCheckpoint(stored(`checkpoint.${size}`).toString(), [key]);
      const bundles = [...bundlesFor(size)].map((bundle) => stored(entriesPath(bundle)));
      expect(() => verifyBundles(bundles, head)).not.toThrow();
    });

    test('proves every leaf and every step of its history from stored tiles', () => {
      for (let size = 1; size <= LEAVES.length; size++) {
        const heads = new MerkleTree();
        const source = tileSource(size, (tile) => stored(tilePath(tile)));
        for (let index = 0; index < size; index++) heads.append(source(0, index));
        const { root } = openCheckpoint(stored(`checkpoint.${size}`).toString(), [key]);
        for (const [index, entry] of entries.slice(0, size).entries()) {
          const proof = heads.inclusionProof(index);
          verifyInclusion({ leafHash: leafHash(entry), index, size, root, proof });
          const from = parseCheckpoint(stored(`checkpoint.${index + 1}`).toString());
          const steps = heads.consistencyProof(from.size);
          verifyConsistency({
            fromSize: from.size,
            toSize: size,
            fromRoot: from.root,
            toRoot: root,
            proof: steps,
          });
        }
      }
    });
  });
} else {
  test.skip('the test log of transparency-dev/tessera: shared/vectors/tlog is not here', () =>
    undefined);
}
