import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { createTerminal, EXIT, MedleyError, systemClock } from '@medley/kit';
import { trainProgram } from './program.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second one insists; nothing is half written, files appear whole or not at all.
    if (interrupted.signal.aborted) process.exit(EXIT.interrupted);
    interrupted.abort(new MedleyError('INTERRUPTED', signal));
  });
}

// A reader that closes the pipe early (head, less) wants no more.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.ok);
});

const terminal = (json: boolean): ReturnType<typeof createTerminal> =>
  createTerminal({ stdout: process.stdout, stderr: process.stderr, env: process.env, json });

const program = trainProgram(
  {
    terminal,
    clock: systemClock,
    interrupted: interrupted.signal,
    cwd: process.cwd(),
    version,
  },
  (code) => (process.exitCode = code),
);

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
