import { resolve } from 'node:path';
import type { Clock, ExitCode, ProcessTable, Rng, Terminal } from '@medley/kit';
import { openHome, type OperatorHome } from './home.ts';

/** What every command gets, and nothing else of the process. */
export interface CommandContext {
  /** The terminal for this call's `--json`. */
  terminal(json: boolean): Terminal;
  /** Ends with this code although nothing is thrown: the result that was written tells why. */
  setExit(code: ExitCode): void;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly processes: ProcessTable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C and SIGTERM, with INTERRUPTED as its reason. */
  readonly signal: AbortSignal;
  /** Base of relative paths. */
  readonly cwd: string;
}

/** Options that every command takes. */
export interface SharedOptions {
  readonly home: string;
  readonly json: boolean;
}

/** The home that this call names. Throws OPERATOR_HOME_MISSING, CONFIG_INVALID. */
export async function homeOf(
  { cwd }: Pick<CommandContext, 'cwd'>,
  { home }: Pick<SharedOptions, 'home'>,
): Promise<OperatorHome> {
  return openHome(resolve(cwd, home));
}
