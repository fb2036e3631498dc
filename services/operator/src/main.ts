import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { MedleyError, processTable, systemClock, systemRng } from '@medley/kit';
import { runOperator } from './cli/run.ts';

tls.DEFAULT_MIN_VERSION = 'TLSv1.3';

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: a second signal ends the process at once.
  process.once(signal, () => stop.abort(new MedleyError('INTERRUPTED', signal)));
}

process.exitCode = await runOperator(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  rng: systemRng,
  processes: processTable(process),
  signal: stop.signal,
  cwd: process.cwd(),
  version,
});
