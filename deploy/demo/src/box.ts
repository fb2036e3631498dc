import { join } from 'node:path';
import { MedleyError, type Clock, type Terminal } from '@medley/kit';
import type { Programs, Running } from './programs.ts';
import type { PrivacyTarget } from './options.ts';
import type { SilosFolder, SiloSource } from './silos.ts';

/** What every step of the demo works on. */
export interface Box {
  /** Folder of all homes, keys and logs; private. */
  readonly work: string;
  /** Folder of what the reader keeps: page, model, audit files. */
  readonly out: string;
  readonly source: SilosFolder;
  /** Number of training rounds, or null for what the study file says. */
  readonly rounds: number | null;
  /** Differential privacy of the study, or null for none. */
  readonly privacy: PrivacyTarget | null;
  readonly programs: Programs;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The operator's home in the box. */
export function operatorHome(box: Box): string {
  return join(box.work, 'operator');
}

/** One hospital's home in the box. */
export function agentHome(box: Box, silo: SiloSource): string {
  return join(box.work, 'silos', silo.name);
}

/** Where a long-running process writes. */
export function logFile(box: Box, name: string): string {
  return join(box.work, 'logs', `${name}.log`);
}

const POLL_MS = 25;

/**
 * Waits until `ready` gives a value. Throws DEMO_STEP_FAILED when the process that it waits for ends
 * first, or after `limitMs`.
 */
export async function until<T>(
  box: Box,
  what: string,
  running: Running,
  ready: () => Promise<T | undefined>,
  limitMs = 30_000,
): Promise<T> {
  const state = { ended: false };
  void running.ended.then(() => (state.ended = true));
  const start = box.clock.nowMs();
  for (;;) {
    const value = await ready();
    if (value !== undefined) return value;
    if (state.ended)
      throw new MedleyError('DEMO_STEP_FAILED', `${running.name} ended before ${what}`);
    if (box.clock.nowMs() - start > limitMs) {
      throw new MedleyError('DEMO_STEP_FAILED', `${what} took longer than ${String(limitMs)} ms`);
    }
    await box.clock.sleep(POLL_MS, box.signal);
  }
}
