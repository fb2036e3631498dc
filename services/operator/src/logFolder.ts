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

/**
 * A whole log as it was downloaded: as many entries as its newest checkpoint says, and otherwise
 * nothing in it is believed yet.
 */
export interface DownloadedLog {
  /** Canonical leaves in order. */
  readonly entries: readonly Uint8Array[];
  /** Signed notes, oldest first; at least one. */
  readonly checkpoints: readonly string[];
}

const NEWEST = 'checkpoint';
const ALL = 'checkpoints.json';
const KEY = 'log.vkey';
const READABLE = { mode: 0o644 };

/**
 * Makes a {@link DownloadedLog} of what a service sent. Throws AUDIT_FAILED when entries are missing
 * or there is no checkpoint, MERKLE_* when the newest one cannot be read.
 */
export function wholeLog(
  entries: readonly Uint8Array[],
  checkpoints: readonly string[],
): DownloadedLog {
  const newest = checkpoints.at(-1);
  if (newest === undefined) throw new MedleyError('AUDIT_FAILED', 'the log has no checkpoint');
  const { size } = parseCheckpoint(newest);
  if (entries.length !== size) {
    const detail = `the newest checkpoint covers ${size} entries, there are ${entries.length}`;
    throw new MedleyError('AUDIT_FAILED', detail);
  }
  return { entries, checkpoints };
}

/**
 * Writes a log in the layout of C2SP tlog-tiles: `checkpoint`, `tile/L/N`, `tile/entries/N`. Beside
 * it lie the verifier key in `log.vkey`, and in `checkpoints.json` every checkpoint in the order in
 * which they came, so that two of one size, which would convict the log, are both kept.
 * Throws FILE_UNWRITABLE and MERKLE_* for entries that no bundle can hold.
 */
export async function writeLogFolder(
  folder: string,
  { entries, checkpoints }: DownloadedLog,
  verifierKey: string,
): Promise<void> {
  const put = async (path: string, content: Uint8Array | string): Promise<void> =>
    writeDurably(join(folder, path), content, READABLE);
  const tree = new MerkleTree(entries.map((entry) => leafHash(entry)));
  for (const tile of tilesFor(tree.size)) {
    await put(tilePath(tile), readTile(tree.source, tile));
  }
  for (const bundle of bundlesFor(tree.size)) {
    const from = bundle.index * TILE_WIDTH;
    await put(entriesPath(bundle), formatBundle(entries.slice(from, from + bundle.width)));
  }
  await put(ALL, `${JSON.stringify(checkpoints, undefined, 2)}\n`);
  await put(KEY, `${verifierKey}\n`);
  await put(NEWEST, checkpoints.at(-1) ?? '');
}

/**
 * Reads what {@link writeLogFolder} wrote. Tiles are not read: they follow from the entries. Throws
 * FILE_UNREADABLE, AUDIT_FAILED and MERKLE_* for missing or damaged files.
 */
export async function readLogFolder(folder: string): Promise<DownloadedLog> {
  const { size } = parseCheckpoint(await readText(join(folder, NEWEST)));
  const entries: Uint8Array[] = [];
  for (const bundle of bundlesFor(size)) {
    entries.push(...parseBundle(await readBytes(join(folder, entriesPath(bundle))), bundle.width));
  }
  return wholeLog(entries, parseCheckpoints(await readText(join(folder, ALL))));
}

function parseCheckpoints(text: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.every((note) => typeof note === 'string')) return value;
  throw new MedleyError('AUDIT_FAILED', `${ALL} is not a list of checkpoints`);
}
