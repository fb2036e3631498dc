import { join } from 'node:path';
import { MedleyError, readBytes, readText, writeDurably } from '@medley/kit';
import {
  bundlesFor,
  entriesPath,
  formatBundle,
  leafHash,
  MerkleTree,
  parseBundle,
  parseCheckpoint,
  readTile,
  TILE_WIDTH,
  tilePath,
  tilesFor,
} from '@medley/merkle';

/** A whole log as it was downloaded: nothing in it is believed yet. */
export interface DownloadedLog {
  /** Canonical leaves in order. */
  readonly entries: readonly Uint8Array[];
  /** Signed notes, oldest first. */
  readonly checkpoints: readonly string[];
}

const NEWEST = 'checkpoint';
const ALL = 'checkpoints';
const READABLE = 0o644;

/**
 * Writes a log in the tlog-tiles layout (C2SP): `checkpoint`, `tile/L/N`, `tile/entries/N`, and
 * beside it every earlier checkpoint in `checkpoints/SIZE` and the verifier key in `log.vkey`.
 */
export async function writeLogFolder(
  folder: string,
  log: DownloadedLog,
  verifierKey: string,
): Promise<void> {
  const put = async (path: string, content: Uint8Array | string): Promise<void> =>
    writeDurably(join(folder, path), content, { mode: READABLE });
  const newest = log.checkpoints.at(-1);
  if (newest === undefined) throw new MedleyError('AUDIT_FAILED', 'the log has no checkpoint');
  const size = parseCheckpoint(newest).size;
  const tree = new MerkleTree(log.entries.slice(0, size).map((entry) => leafHash(entry)));
  for (const tile of tilesFor(size)) {
    await put(tilePath(tile), readTile(tree.source, tile));
  }
  for (const bundle of bundlesFor(size)) {
    const from = bundle.index * TILE_WIDTH;
    await put(entriesPath(bundle), formatBundle(log.entries.slice(from, from + bundle.width)));
  }
  for (const note of log.checkpoints) {
    await put(`${ALL}/${String(parseCheckpoint(note).size)}`, note);
  }
  await put(
    `${ALL}/index`,
    `${log.checkpoints.map((note) => parseCheckpoint(note).size).join('\n')}\n`,
  );
  await put(NEWEST, newest);
  await put('log.vkey', `${verifierKey}\n`);
}

/** Reads what {@link writeLogFolder} wrote. Throws FILE_UNREADABLE and MERKLE_* for damaged files. */
export async function readLogFolder(folder: string): Promise<DownloadedLog> {
  const { size } = parseCheckpoint(await readText(join(folder, NEWEST)));
  const entries: Uint8Array[] = [];
  for (const bundle of bundlesFor(size)) {
    entries.push(...parseBundle(await readBytes(join(folder, entriesPath(bundle))), bundle.width));
  }
  const sizes = (await readText(join(folder, ALL, 'index'))).split('\n').filter(Boolean);
  if (!sizes.every((text) => /^\d{1,15}$/.test(text))) {
    throw new MedleyError('AUDIT_FAILED', 'the index of checkpoints is damaged');
  }
  const checkpoints = await Promise.all(
    sizes.map(async (text) => readText(join(folder, ALL, text))),
  );
  return { entries, checkpoints };
}
