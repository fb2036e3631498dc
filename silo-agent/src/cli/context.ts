import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Clock, Logger, LogLevel, ProcessTable, Rng, Terminal } from '@medley/kit';
import type { Masker } from '@medley/secagg';
import type { LocalWork } from '../training/work.ts';

/** What every command gets from main.ts, and nothing else of the process. */
export interface CommandContext {
  /** The terminal for this call's `--json`. */
  terminal(json: boolean): Terminal;
  /** Logs to standard error, for `run`. */
  logger(level: LogLevel): Logger;
  /** A line that a person typed after `question`; undefined where nobody can answer. */
  ask(question: string, signal: AbortSignal): Promise<string | undefined>;
  /** Local training in a thread of its own; the caller closes it. */
  openWork(): LocalWork;
  /** Masks in threads of their own; the caller closes it. */
  openMasker(): Masker;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly interrupted: AbortSignal;
  /** Aborted by the second one. */
  readonly killed: AbortSignal;
  readonly processes: ProcessTable;
  /** Base of relative paths. */
  readonly cwd: string;
  readonly version: string;
}

/** Options that every command takes. */
export interface SharedOptions {
  readonly home: string;
  readonly json: boolean;
}

/** Where an agent's home is looked for when `--home` does not say. */
export const DEFAULT_HOME = '.medley/agent';

/** A command with the options that all commands share. */
export function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--home <folder>', "this hospital's folder", DEFAULT_HOME)
    .option('--json', 'write the result as one JSON document', false);
}

/** The home that a call names, absolute. */
export function homeOf(context: CommandContext, options: SharedOptions): string {
  return resolve(context.cwd, options.home);
}
