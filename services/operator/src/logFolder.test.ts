import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import {
  entriesPath,
  leafHash,
  logKeyFromSeed,
  MerkleTree,
  parseTile,
  signCheckpoint,
  tilePath,
} from '@medley/merkle';
import { testLeaves } from '../../../tests/support/log.ts';
import { readLogFolder, wholeLog, writeLogFolder, type DownloadedLog } from './logFolder.ts';

const KEY = logKeyFromSeed('medley/test', new Uint8Array(32).fill(3));
const LEAVES = testLeaves(300);

function logOf(size: number, ...earlier: readonly number[]): DownloadedLog {
  const entries = LEAVES.slice(0, size);
  const tree = new MerkleTree(entries.map((leaf) => leafHash(leaf)));
  const sign = (n: number): string =>
    signCheckpoint({ origin: KEY.name, size: n, root: tree.root(n) }, KEY);
  return wholeLog(entries, [...earlier, size].map(sign));
}

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'medley-kept-')), 'audit');
});

describe('a kept log', () => {
  test.each([1, 255, 256, 257, 300])('of %s entries is read as it was written', async (size) => {
    const log = logOf(size, 1);
    await writeLogFolder(folder, log, 'the key');
    expect(await readLogFolder(folder)).toEqual(log);
  });

  test('lies in the tlog-tiles layout', async () => {
    await writeLogFolder(folder, logOf(300), 'the key');
    const hashes = parseTile(
      new Uint8Array(await readFile(join(folder, tilePath({ level: 0, index: 1, width: 44 })))),
      44,
    );
    expect(hashes[0]).toEqual(leafHash(LEAVES[256]!));
    expect((await readdir(folder)).sort()).toEqual([
      'checkpoint',
      'checkpoints.json',
      'log.vkey',
      'tile',
    ]);
    expect(await readFile(join(folder, 'log.vkey'), 'utf8')).toBe('the key\n');
  });

  test('keeps two checkpoints of one size', async () => {
    const log = logOf(5);
    const two = { ...log, checkpoints: [log.checkpoints[0]!, ...log.checkpoints] };
    await writeLogFolder(folder, two, 'the key');
    expect((await readLogFolder(folder)).checkpoints).toHaveLength(2);
  });
});

describe('damage', () => {
  const bundle = entriesPath({ index: 0, width: 5 });
  test.each([
    ['a missing checkpoint', 'FILE_UNREADABLE', () => rm(join(folder, 'checkpoint'))],
    ['a bundle that is gone', 'FILE_UNREADABLE', () => rm(join(folder, bundle))],
    ['a checkpoint of noise', 'MERKLE_NOTE_MALFORMED', () => put('checkpoint', 'noise')],
    ['a bundle cut short', 'MERKLE_TILE_MALFORMED', () => put(bundle, '\u0000\u0009abc')],
    ['checkpoints that are no JSON', 'AUDIT_FAILED', () => put('checkpoints.json', '[')],
    ['checkpoints that are no texts', 'AUDIT_FAILED', () => put('checkpoints.json', '[1]')],
    ['an empty list of checkpoints', 'AUDIT_FAILED', () => put('checkpoints.json', '[]')],
  ])('%s is %s', async (_, code, harm) => {
    await writeLogFolder(folder, logOf(5), 'the key');
    await harm();
    await expect(readLogFolder(folder)).rejects.toMatchObject({ code });
  });

  const put = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);
});

describe('wholeLog', () => {
  test.each([
    ['fewer entries than are signed', LEAVES.slice(0, 4)],
    ['more entries than are signed', LEAVES.slice(0, 6)],
  ])('refuses %s', (_, entries) => {
    expect(() => wholeLog(entries, logOf(5).checkpoints)).toThrow(
      expect.objectContaining({ code: 'AUDIT_FAILED' }),
    );
  });

  test('refuses a log without a checkpoint', () => {
    expect(() => wholeLog([], [])).toThrow(expect.objectContaining({ code: 'AUDIT_FAILED' }));
  });
});
