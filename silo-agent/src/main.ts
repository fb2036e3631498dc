import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { CommanderError } from 'commander';
import {
  createLogger,
  createTerminal,
  EXIT,
  MedleyError,
  processTable,
  systemClock,
  systemRng,
} from '@medley/kit';
import { createMasker } from '@medley/secagg';
import { agentProgram } from './cli/program.ts';
import { createLocalWork } from './training/thread.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

// The first signal asks, the second one insists; the reason says which signal it was.
const interrupted = new AbortController();
const killed = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const reason = new MedleyError('INTERRUPTED', signal);
    (interrupted.signal.aborted ? killed : interrupted).abort(reason);
  });
}

const terminal = (json: boolean): ReturnType<typeof createTerminal> =>
  createTerminal({ stdout: process.stdout, stderr: process.stderr, env: process.env, json });

async function ask(question: string, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question, { signal });
  } catch {
    throw new MedleyError('INTERRUPTED', 'no answer');
  } finally {
    lines.close();
  }
}

const program = agentProgram(
  {
    terminal,
    logger: (level) => createLogger('medley-agent', level),
    ask,
    openWork: () => createLocalWork({ clock: systemClock }),
    openMasker: () => createMasker({ threads: availableParallelism() }),
    clock: systemClock,
    rng: systemRng,
    interrupted: interrupted.signal,
    killed: killed.signal,
    processes: processTable(process),
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
