import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, MedleyError, sha256, syncFolder, toHex, type Rng } from '@medley/kit';
import type { BlobName } from '../store/rows.ts';

/** What a transfer must turn out to be. */
export interface Expected extends BlobName {
  /** Largest size that is taken, whatever was announced. */
  readonly limitBytes: number;
}

/** Content by its SHA-256. Once written it never changes, so readers need no lock. */
export interface Blobs {
  /** Stores `bytes`; durable when it resolves. */
  write(bytes: Uint8Array): Promise<BlobName>;
  /**
   * Stores what `pieces` yield, without holding it in memory; durable when it resolves. Nothing stays
   * behind when it fails. Throws BLOB_TOO_LARGE, BLOB_MISMATCH, FILE_UNWRITABLE, and whatever `pieces`
   * throws.
   */
  receive(pieces: AsyncIterable<Uint8Array>, expected: Expected): Promise<BlobName>;
  /** The size, or undefined when there is no such blob. */
  sizeOf(hash: string): Promise<number | undefined>;
  /**
   * Pieces of at most 1 MiB from `offset` on. Throws BLOB_UNKNOWN, also for an offset beyond the end,
   * and FILE_UNREADABLE. A read from the start throws BLOB_DAMAGED after the last piece when the file is
   * not what was written.
   */
  read(hash: string, offset?: number): AsyncIterable<Uint8Array>;
  /**
   * The whole content in pieces of at most 1 MiB, each valid only until `use` returns: they share one
   * buffer, which begins on a multiple of 8 bytes. Throws as a {@link Blobs.read} from the start.
   */
  forEach(hash: string, use: (piece: Uint8Array) => void): Promise<void>;
  /** The whole content. Throws BLOB_UNKNOWN, BLOB_DAMAGED, FILE_UNREADABLE. */
  readAll(hash: string): Promise<Uint8Array>;
  /** Reads the whole content for its hash alone. Throws as {@link Blobs.readAll}. */
  verify(hash: string): Promise<void>;
  /** Removes a blob that nothing refers to any more; none is no error. */
  remove(hash: string): Promise<void>;
}

const PIECE_BYTES = 1024 * 1024;

/**
 * Blobs as files `<folder>/<first two digits>/<hash>`, mode 0600. Half-written files of a crash carry
 * the ending `.part` and are removed here. Throws FILE_UNWRITABLE.
 */
export async function openBlobs(folder: string, rng: Rng): Promise<Blobs> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const entry of await readdir(folder)) {
      if (entry.endsWith('.part')) await rm(join(folder, entry));
    }
  } catch (cause) {
    throw unwritable(folder, cause);
  }
  return new FileBlobs(folder, rng);
}

class FileBlobs implements Blobs {
  readonly #folder: string;
  readonly #rng: Rng;

  constructor(folder: string, rng: Rng) {
    this.#folder = folder;
    this.#rng = rng;
  }

  async write(bytes: Uint8Array): Promise<BlobName> {
    const expected = {
      hash: toHex(sha256(bytes)),
      sizeBytes: bytes.length,
      limitBytes: bytes.length,
    };
    return this.receive(once(bytes), expected);
  }

  async receive(pieces: AsyncIterable<Uint8Array>, expected: Expected): Promise<BlobName> {
    const { hash, sizeBytes, limitBytes } = expected;
    if (sizeBytes > limitBytes) {
      throw new MedleyError(
        'BLOB_TOO_LARGE',
        `${sizeBytes} bytes announced, at most ${limitBytes} are taken`,
      );
    }
    const temporary = join(this.#folder, `${toHex(this.#rng.bytes(8))}.part`);
    try {
      const got = await writePieces(temporary, pieces, sizeBytes);
      if (got !== hash)
        throw new MedleyError('BLOB_MISMATCH', `content has SHA-256 ${got}, announced was ${hash}`);
      await writable(this.#folder, this.#place(temporary, hash));
      return { hash, sizeBytes };
    } finally {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  async #place(temporary: string, hash: string): Promise<void> {
    const target = this.#pathOf(hash);
    const folder = join(target, '..');
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined)
      await syncFolder(this.#folder);
    await rename(temporary, target);
    await syncFolder(folder);
  }

  async sizeOf(hash: string): Promise<number | undefined> {
    try {
      return (await stat(this.#pathOf(hash))).size;
    } catch {
      return undefined;
    }
  }

  async *read(hash: string, offset = 0): AsyncGenerator<Uint8Array> {
    yield* this.#pieces(hash, offset, (length) => new Uint8Array(length));
  }

  async *#pieces(
    hash: string,
    offset: number,
    make: (length: number) => Uint8Array,
  ): AsyncGenerator<Uint8Array> {
    const size = await this.sizeOf(hash);
    if (size === undefined || offset > size) throw unknown(hash);
    const handle = await readable(hash, open(this.#pathOf(hash), 'r'));
    const digest = createHash('sha256');
    try {
      for (let at = offset; at < size;) {
        const piece = make(Math.min(PIECE_BYTES, size - at));
        // A read may give less than was asked for; whole pieces keep words together.
        for (let filled = 0; filled < piece.length;) {
          const work = handle.read(piece, filled, piece.length - filled, at + filled);
          const { bytesRead } = await readable(hash, work);
          if (bytesRead === 0) throw damaged(hash);
          filled += bytesRead;
        }
        digest.update(piece);
        yield piece;
        at += piece.length;
      }
      if (offset === 0 && digest.digest('hex') !== hash.toLowerCase()) throw damaged(hash);
    } finally {
      await handle.close();
    }
  }

  async readAll(hash: string): Promise<Uint8Array> {
    const content = new Uint8Array((await this.sizeOf(hash)) ?? 0);
    let at = 0;
    await this.forEach(hash, (piece) => {
      content.set(piece, at);
      at += piece.length;
    });
    return content;
  }

  async forEach(hash: string, use: (piece: Uint8Array) => void): Promise<void> {
    const buffer = new Uint8Array(PIECE_BYTES);
    const pieces = this.#pieces(hash, 0, (length) => buffer.subarray(0, length));
    for await (const piece of pieces) use(piece);
  }

  async verify(hash: string): Promise<void> {
    await this.forEach(hash, () => undefined);
  }

  async remove(hash: string): Promise<void> {
    await rm(this.#pathOf(hash), { force: true });
  }

  /** Names come from peers: only the hex form of a SHA-256 ever reaches the file system. */
  #pathOf(hash: string): string {
    if (fromHex(hash)?.length !== 32) throw unknown(hash.slice(0, 64));
    const name = hash.toLowerCase();
    return join(this.#folder, name.slice(0, 2), name);
  }
}

async function writePieces(
  file: string,
  pieces: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): Promise<string> {
  const handle = await writable(file, open(file, 'wx', 0o600));
  try {
    const hash = createHash('sha256');
    let at = 0;
    for await (const piece of pieces) {
      at += piece.length;
      if (at > sizeBytes)
        throw new MedleyError('BLOB_MISMATCH', `more than the announced ${sizeBytes} bytes`);
      hash.update(piece);
      await writable(file, handle.writeFile(piece));
    }
    if (at !== sizeBytes)
      throw new MedleyError('BLOB_MISMATCH', `${at} of the announced ${sizeBytes} bytes`);
    await writable(file, handle.sync());
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Throws FILE_UNREADABLE for a file that is there and cannot be read. */
async function readable<T>(hash: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new MedleyError('FILE_UNREADABLE', `blob ${hash} (${errnoOf(cause)})`, { cause });
  }
}

/** Throws FILE_UNWRITABLE naming the folder or file. */
async function writable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): MedleyError {
  const text = `${path} cannot be written (${errnoOf(cause)})`;
  return new MedleyError('FILE_UNWRITABLE', text, { cause });
}

/** Not by instanceof, which fails for errors of another realm. */
function errnoOf(caught: unknown): string {
  const isCoded = typeof caught === 'object' && caught !== null && 'code' in caught;
  return isCoded ? String(caught.code) : 'unknown reason';
}

function damaged(hash: string): MedleyError {
  return new MedleyError('BLOB_DAMAGED', `blob ${hash}`);
}

function unknown(hash: string): MedleyError {
  return new MedleyError('BLOB_UNKNOWN', `no blob ${hash}`);
}
