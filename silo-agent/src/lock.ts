import { open, rm } from 'node:fs/promises';
import { MedleyError } from '@medley/kit';
import { errnoOf, readIfThere } from './file.ts';

/** What the lock asks of the operating system; main.ts gives the real one. */
export interface ProcessTable {
  /** Id of this process. */
  readonly pid: number;
  isAlive(pid: number): boolean;
}

/** Held while an agent runs; `release` lets the next one in. */
export interface RunLock {
  release(): Promise<void>;
}

/**
 * Takes the lock file for this process. A lock whose process is gone (killed, power cut) is taken
 * over. Two agents with one identity could sign contradictory messages, so this is no courtesy.
 * Throws AGENT_RUNNING naming the other process.
 */
export async function takeLock(file: string, processes: ProcessTable): Promise<RunLock> {
  for (;;) {
    try {
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(String(processes.pid));
      await handle.close();
      return { release: () => rm(file, { force: true }) };
    } catch (cause) {
      if (errnoOf(cause) !== 'EEXIST') {
        throw new MedleyError('FILE_UNWRITABLE', `${file} cannot be made`, { cause });
      }
    }
    const holder = await holderOf(file, processes);
    if (holder !== undefined)
      throw new MedleyError('AGENT_RUNNING', `process ${String(holder)} holds ${file}`);
    await rm(file, { force: true });
  }
}

/** Id of the living process that holds the lock, undefined when nobody does. */
export async function holderOf(file: string, processes: ProcessTable): Promise<number | undefined> {
  const text = new TextDecoder().decode(await readIfThere(file));
  // After a power cut the file may be empty, and in a container the old id may be our own.
  const pid = Number(text);
  const isOther = Number.isInteger(pid) && pid > 0 && pid !== processes.pid;
  return isOther && processes.isAlive(pid) ? pid : undefined;
}
