import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ErrorCode } from './catalogue/index.ts';
import { MedleyError } from './error.ts';
import { systemRng } from './rng.ts';
import { toHex } from './bytes.ts';

/** The file's bytes. Throws `code` (default FILE_UNREADABLE) naming the path. */
export async function readBytes(
  file: string,
  code: ErrorCode = 'FILE_UNREADABLE',
): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, length } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (cause) {
    throw new MedleyError(code, `${file} cannot be read (${reason(cause)})`, { cause });
  }
}

/** The file as UTF-8 text without a byte order mark. Throws `code` (default FILE_UNREADABLE). */
export async function readText(file: string, code: ErrorCode = 'FILE_UNREADABLE'): Promise<string> {
  const bytes = await readBytes(file, code);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new MedleyError(code, `${file} is not UTF-8 text`, { cause });
  }
}

/**
 * Writes a file so that a crash leaves the old content or the new, never a part: temporary name in
 * the same folder, fsync, rename, fsync of the folder. Missing folders are made. `mode` defaults to
 * 0600. Throws FILE_UNWRITABLE.
 */
export async function writeDurably(
  file: string,
  content: Uint8Array | string,
  options: { readonly mode?: number } = {},
): Promise<void> {
  await replace(file, content, { mode: options.mode ?? 0o600, isSynced: true });
}

/**
 * The same without waiting for the disk: other processes see the old content or the new, but a power
 * cut may leave neither. For what can be had again and is checked when it is read. Throws
 * FILE_UNWRITABLE.
 */
export async function writeLazily(file: string, content: Uint8Array | string): Promise<void> {
  await replace(file, content, { mode: 0o600, isSynced: false });
}

async function replace(
  file: string,
  content: Uint8Array | string,
  { mode, isSynced }: { readonly mode: number; readonly isSynced: boolean },
): Promise<void> {
  const folder = dirname(file);
  const temporary = join(folder, `.${toHex(systemRng.bytes(8))}.tmp`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      if (isSynced) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    if (isSynced) await syncFolder(folder);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new MedleyError('FILE_UNWRITABLE', `${file} cannot be written (${reason(cause)})`, {
      cause,
    });
  }
}

/** Makes a rename or unlink in `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function reason(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
}
