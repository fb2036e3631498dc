import { CommanderError } from 'commander';
import { createTerminal, EXIT, type ExitCode, type Terminal } from '@medley/kit';
import type { TerminalStreams } from '@medley/kit';
import type { CommandContext } from '../context.ts';
import { operatorProgram } from './program.ts';

/** The process around the command line, as main.ts finds it. */
export interface Surroundings
  extends Omit<CommandContext, 'terminal' | 'setExit'>, Omit<TerminalStreams, 'json'> {
  readonly version: string;
}

/** Runs one command line (without program names) and gives the exit code that belongs to its end. */
export async function runOperator(
  args: readonly string[],
  around: Surroundings,
): Promise<ExitCode> {
  const { stdout, stderr, env } = around;
  const terminal = (json: boolean): Terminal => createTerminal({ stdout, stderr, env, json });
  let exit: ExitCode = EXIT.ok;
  const context = { ...around, terminal, setExit: (code: ExitCode) => void (exit = code) };
  try {
    await operatorProgram(context, around).parseAsync([...args], { from: 'user' });
    return exit;
  } catch (error) {
    if (!(error instanceof CommanderError)) return terminal(args.includes('--json')).fail(error);
    // Commander has printed its own words; help and version end with 0.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}
