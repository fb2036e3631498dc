import { createReadStream } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, createDeflateRaw } from 'node:zlib';
import { MedleyError } from '@medley/kit';

/** Beyond these a ZIP file needs extensions that not every program reads (APPNOTE 4.4.1.4). */
const LIMITS = { bytes: 2 ** 32 - 1, files: 2 ** 16 - 1 };
/** 1980-01-01: the same bundle gives the same archive. */
const DATE = 33;
const DEFLATED = 8;
/** Names are UTF-8. */
const FLAGS = 0x0800;
const VERSION = 20;

interface Packed {
  readonly name: Buffer;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

/**
 * Packs files of `folder` into the archive `target`, which appears whole or not at all, replacing what had
 * the name. Reads and writes in pieces. Throws AUDIT_EXPORT_TOO_LARGE, FILE_UNWRITABLE and the reason of
 * `signal`.
 */
export async function packFolder(
  folder: string,
  paths: readonly string[],
  target: string,
  signal: AbortSignal,
): Promise<void> {
  if (paths.length > LIMITS.files) throw tooLarge(`${paths.length} files`);
  const partial = `${folder}.zip`;
  try {
    const archive = await open(partial, 'wx', 0o644);
    try {
      const entries: Packed[] = [];
      let at = 0;
      for (const path of paths) {
        const entry = await pack(archive, join(folder, path), Buffer.from(path), at, signal);
        entries.push(entry);
        at += 30 + entry.name.length + entry.packed;
        if (at > LIMITS.bytes || entry.size > LIMITS.bytes) throw tooLarge(path);
      }
      const directory = Buffer.concat(entries.map(directoryEntry));
      await archive.write(
        Buffer.concat([directory, ending(entries.length, directory, at)]),
        0,
        null,
        at,
      );
      await archive.sync();
    } finally {
      await archive.close();
    }
    await rename(partial, target);
  } catch (cause) {
    await rm(partial, { force: true });
    if (cause instanceof MedleyError) throw cause;
    throw new MedleyError('FILE_UNWRITABLE', `${target} cannot be written`, { cause });
  }
}

async function pack(
  archive: FileHandle,
  file: string,
  name: Buffer,
  offset: number,
  signal: AbortSignal,
): Promise<Packed> {
  const deflate = createDeflateRaw();
  let [crc, size, packed] = [0, 0, 0];
  const source = createReadStream(file);
  source.on('data', (piece) => {
    crc = crc32(piece, crc);
    size += piece.length;
  });
  source.on('error', (error) => deflate.destroy(error));
  for await (const piece of source.pipe(deflate) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    await archive.write(piece, 0, piece.length, offset + 30 + name.length + packed);
    packed += piece.length;
  }
  const entry = { name, crc, packed, size, offset };
  // Sizes are known only now; the header's place was left free.
  const header = Buffer.concat([words(4, 0x04034b50), common(entry), words(2, 0), name]);
  await archive.write(header, 0, header.length, offset);
  return entry;
}

/** What both headers of a file say: version to names' length (APPNOTE 4.3.7). */
function common({ name, crc, packed, size }: Packed): Buffer {
  return Buffer.concat([
    words(2, VERSION, FLAGS, DEFLATED, 0, DATE),
    words(4, crc, packed, size),
    words(2, name.length),
  ]);
}

function directoryEntry(entry: Packed): Buffer {
  return Buffer.concat([
    words(4, 0x02014b50),
    words(2, VERSION),
    common(entry),
    words(2, 0, 0, 0, 0),
    words(4, 0, entry.offset),
    entry.name,
  ]);
}

function ending(count: number, directory: Buffer, offset: number): Buffer {
  const sizes = words(4, directory.length, offset);
  return Buffer.concat([words(4, 0x06054b50), words(2, 0, 0, count, count), sizes, words(2, 0)]);
}

/** Numbers of `width` bytes, little-endian. */
function words(width: 2 | 4, ...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(width * values.length);
  values.forEach((value, i) => bytes.writeUIntLE(value, i * width, width));
  return bytes;
}

function tooLarge(what: string): MedleyError {
  return new MedleyError('AUDIT_EXPORT_TOO_LARGE', what);
}
