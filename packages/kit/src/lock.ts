import { link, readFile, rm, writeFile } from 'node:fs/promises';
import type { ErrorCode } from './catalogue/index.ts';
import { MedleyError } from './error.ts';

/** What the lock asks of the operating system; {@link processTable} makes it of the process. */
export interface ProcessTable {
  /** Id of this process. */
  readonly pid: number;
  isAlive(pid: number): boolean;
}

/** Held while a program runs; `release` lets the next one in. */
export interface RunLock {
  release(): Promise<void>;
}

/** The table of the machine that this process runs on; `self` is Node's `process`. */
export function processTable(self: {
  readonly pid: number;
  kill(pid: number, signal: 0): boolean;
}): ProcessTable {
  return {
    pid: self.pid,
    isAlive: (pid) => {
      try {
        return self.kill(pid, 0);
      } catch (caught) {
        // A process of another user cannot be signalled, but it is there.
        return errnoOf(caught) === 'EPERM';
      }
    },
  };
}

/**
 * Takes the lock file for this process. A lock whose process is gone (killed, power cut) is taken
 * over. Throws `code` naming the process that holds it, FILE_UNWRITABLE.
 */
export async function takeLock(
  file: string,
  processes: ProcessTable,
  code: ErrorCode,
): Promise<RunLock> {
  // Written under another name first: nobody ever sees a lock that does not say whose it is.
  const own = `${file}.${String(processes.pid)}`;
  try {
    await writeFile(own, String(processes.pid), { mode: 0o600 });
    for (;;) {
      if (await hasLinked(own, file)) return { release: () => rm(file, { force: true }) };
      const holder = await holderOf(file, processes);
      if (holder !== undefined)
        throw new MedleyError(code, `process ${String(holder)} holds ${file}`);
      await rm(file, { force: true });
    }
  } catch (cause) {
    if (cause instanceof MedleyError) throw cause;
    const reason = errnoOf(cause) ?? 'unknown reason';
    throw new MedleyError('FILE_UNWRITABLE', `${file} cannot be made (${reason})`, { cause });
  } finally {
    await rm(own, { force: true }).catch(() => undefined);
  }
}

/** Id of the living process that holds the lock, undefined when nobody does. */
export async function holderOf(file: string, processes: ProcessTable): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    if (errnoOf(cause) === 'ENOENT') return '';
    throw new MedleyError('FILE_UNREADABLE', `${file} cannot be read`, { cause });
  });
  // After a power cut the file may be empty, and in a container the old id may be our own.
  const pid = Number(text);
  const isOther = Number.isInteger(pid) && pid > 0 && pid !== processes.pid;
  return isOther && processes.isAlive(pid) ? pid : undefined;
}

async function hasLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST') return false;
    throw cause;
  }
}

/** Not by instanceof: the error may come from another realm, as it does under jest. */
function errnoOf(caught: unknown): string | undefined {
  if (typeof caught !== 'object' || caught === null || !('code' in caught)) return undefined;
  return typeof caught.code === 'string' ? caught.code : undefined;
}
