import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { createTerminal, EXIT, MedleyError, systemClock, systemRng } from '@medley/kit';
import { operatorProgram } from './cli/program.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new MedleyError('INTERRUPTED', signal)));
}

const terminal = (json: boolean): ReturnType<typeof createTerminal> =>
  createTerminal({ stdout: process.stdout, stderr: process.stderr, env: process.env, json });

const program = operatorProgram(
  {
    terminal,
    clock: systemClock,
    rng: systemRng,
    env: process.env,
    signal: stop.signal,
    cwd: process.cwd(),
  },
  version,
);
for (const command of [
  program,
  ...program.commands,
  ...program.commands.flatMap((c) => c.commands),
]) {
  command.exitOverride();
}

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed its own words; help and version end with 0.
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.exitCode = terminal(process.argv.includes('--json')).fail(error);
  }
}
