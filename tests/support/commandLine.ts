import { CommanderError } from 'commander';
import { createTerminal, MedleyError, silentLogger, systemClock, systemRng } from '@medley/kit';
import { threadMasker } from '@medley/secagg';
import { agentProgram } from '../../silo-agent/src/cli/program.ts';
import type { CommandContext } from '../../silo-agent/src/cli/context.ts';
import { honestWork } from './localWork.ts';

/** What a call of the agent's command line left behind. */
export interface Called {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Calls `medley-agent` in this process, as main.ts does it. */
export async function callAgent(
  args: readonly string[],
  change: Partial<CommandContext> = {},
): Promise<Called> {
  let [out, err, exit] = ['', '', 0];
  const stdout = { write: (text: string) => (out += text) };
  const stderr = { write: (text: string) => (err += text) };
  const terminal = (json: boolean) => createTerminal({ stdout, stderr, env: {}, json });
  const context: CommandContext = {
    terminal,
    logger: () => silentLogger,
    ask: async () => undefined,
    openWork: () => honestWork(1),
    openMasker: () => threadMasker,
    clock: systemClock,
    rng: systemRng,
    interrupted: new AbortController().signal,
    killed: new AbortController().signal,
    processes: { pid: 1, isAlive: () => false },
    cwd: '/',
    version: '0.0.0-test',
    ...change,
  };
  const program = agentProgram(context, (code) => (exit = code));
  const all = [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)];
  for (const command of all) {
    command.configureOutput({ writeOut: stdout.write, writeErr: stderr.write });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (caught) {
    if (caught instanceof CommanderError) exit = caught.exitCode === 0 ? 0 : 2;
    else exit = terminal(args.includes('--json')).fail(MedleyError.from(caught));
  }
  return { exit, out, err };
}
