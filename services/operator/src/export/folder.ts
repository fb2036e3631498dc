import { createHash, type Hash } from 'node:crypto';
import { appendFile, lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { MedleyError, syncFolder, toHex, type Rng } from '@medley/kit';
import { packFolder } from './zip.ts';

/** A file of a bundle, as its manifest lists it. */
export interface BundleFile {
  /** Below the bundle, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Lines are gathered up to this many bytes before they are written. */
const GATHERED = 2 ** 18;

interface Growing {
  readonly hash: Hash;
  bytes: number;
  waiting: Uint8Array[];
  waitingBytes: number;
}

/**
 * A folder that appears under its name whole or not at all: it is made beside the name and renamed at the
 * end. Knows size and hash of every file that was written through it. Methods throw FILE_UNWRITABLE.
 */
export class BundleFolder {
  readonly #target: string;
  /** Where the files are until {@link publish}. */
  readonly path: string;
  readonly #files = new Map<string, BundleFile>();
  readonly #growing = new Map<string, Growing>();

  private constructor(target: string, path: string) {
    this.#target = target;
    this.path = path;
  }

  /** Throws AUDIT_EXPORT_EXISTS as {@link checkTarget} does. */
  static async begin(target: string, isForced: boolean, rng: Rng): Promise<BundleFolder> {
    await checkTarget(target, isForced);
    const name = `.${basename(target)}.${toHex(rng.bytes(4))}.partial`;
    const folder = new BundleFolder(target, join(dirname(target), name));
    await unwritable(folder.path, mkdir(folder.path, { recursive: true, mode: 0o755 }));
    return folder;
  }

  /** Sorted by path. */
  get files(): readonly BundleFile[] {
    return [...this.#files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Writes a whole file. */
  async write(path: string, content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const file = join(this.path, path);
    await unwritable(file, mkdir(dirname(file), { recursive: true, mode: 0o755 }));
    await unwritable(file, writeFile(file, bytes, { mode: 0o644 }));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.#files.set(path, { path, bytes: bytes.length, sha256 });
  }

  /** A file that the manifest does not list, because it speaks of the manifest. */
  async writeBeside(path: string, content: Uint8Array): Promise<void> {
    await this.write(path, content);
    this.#files.delete(path);
  }

  /** Adds bytes to the end of a file that only this method writes. */
  async append(path: string, ...parts: readonly Uint8Array[]): Promise<void> {
    const known = this.#growing.get(path);
    const growing = known ?? {
      ...{ hash: createHash('sha256'), bytes: 0 },
      ...{ waiting: [], waitingBytes: 0 },
    };
    if (!known) this.#growing.set(path, growing);
    for (const part of parts) {
      growing.hash.update(part);
      growing.bytes += part.length;
      growing.waitingBytes += part.length;
      growing.waiting.push(part);
    }
    if (!known || growing.waitingBytes >= GATHERED) await this.#flush(path, growing);
  }

  /** Writes what is gathered and lists the files that grew. */
  async settle(): Promise<void> {
    for (const [path, growing] of this.#growing) {
      await this.#flush(path, growing);
      const sha256 = growing.hash.digest('hex');
      this.#files.set(path, { path, bytes: growing.bytes, sha256 });
    }
    this.#growing.clear();
  }

  /** Takes a folder of the bundle away again. */
  async remove(path: string): Promise<void> {
    await unwritable(path, rm(join(this.path, path), { recursive: true, force: true }));
    for (const file of [...this.#files.keys()]) {
      if (file.startsWith(`${path}/`)) this.#files.delete(file);
    }
  }

  /** Packs the folder as a ZIP file under the name. */
  async publishZip(signal: AbortSignal): Promise<void> {
    const found = await readdir(this.path, { recursive: true, withFileTypes: true });
    const paths = found
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.path, join(entry.parentPath, entry.name)));
    await packFolder(this.path, paths.sort(), this.#target, signal);
    await syncFolder(dirname(this.#target));
  }

  /** Gives the folder its name; what had it before is gone then. */
  async publish(): Promise<void> {
    const old = `${this.path}.old`;
    await unwritable(this.#target, mkdir(dirname(this.#target), { recursive: true }));
    const hadOne = await exists(this.#target);
    if (hadOne) await unwritable(this.#target, rename(this.#target, old));
    await unwritable(this.#target, rename(this.path, this.#target));
    await syncFolder(dirname(this.#target));
    if (hadOne) await unwritable(old, rm(old, { recursive: true, force: true }));
  }

  /** Removes what was written; harmless after {@link publish}. */
  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async #flush(path: string, growing: Growing): Promise<void> {
    const file = join(this.path, path);
    await unwritable(file, mkdir(dirname(file), { recursive: true, mode: 0o755 }));
    await unwritable(file, appendFile(file, Buffer.concat(growing.waiting), { mode: 0o644 }));
    growing.waiting = [];
    growing.waitingBytes = 0;
  }
}

/**
 * Throws AUDIT_EXPORT_EXISTS when something has the name already: always without force, and with it for
 * what is neither an empty folder nor an audit bundle.
 */
export async function checkTarget(target: string, isForced: boolean): Promise<void> {
  const found = await lstat(target).catch(() => undefined);
  if (!found) return;
  if (!isForced) throw new MedleyError('AUDIT_EXPORT_EXISTS', target);
  if (target.endsWith('.zip') && found.isFile()) return;
  const names = found.isDirectory() ? await readdir(target) : ['no folder'];
  const isBundle = names.includes('manifest.json') && names.includes('verify.mjs');
  if (names.length > 0 && !isBundle) {
    throw new MedleyError('AUDIT_EXPORT_EXISTS', `${target} holds no audit bundle`);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function unwritable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new MedleyError('FILE_UNWRITABLE', `${path} cannot be written`, { cause });
  }
}
