import type { Clock, Rng, Terminal } from '@medley/kit';

/** What every command gets from main.ts, and nothing else of the process. */
export interface CommandContext {
  /** The terminal for this call's `--json`. */
  terminal(json: boolean): Terminal;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** Base of relative paths. */
  readonly cwd: string;
}

/** Options that every command takes. */
export interface SharedOptions {
  readonly home: string;
  readonly json: boolean;
}
