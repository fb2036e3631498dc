import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { createTerminal, EXIT, MedleyError, systemClock, writeDurably } from '@medley/kit';
import type { Box } from './box.ts';
import { figuresTable, keepHint, runDemo } from './demo.ts';
import { privacyLines } from './private.ts';
import type { DemoFigures } from './figures.ts';
import { demoCommand, type DemoOptions } from './options.ts';
import { Programs } from './programs.ts';
import { findSilos } from './silos.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string };
const { stdout, stderr, env } = process;
const terminal = createTerminal({ stdout, stderr, env, json: false });

const options = readOptions();
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new MedleyError('INTERRUPTED', signal)));
}
const programs = new Programs({
  files: {
    medley: join(root, 'services/operator/bin/medley.js'),
    'medley-agent': join(root, 'silo-agent/bin/medley-agent.js'),
    'medley-aggregator': join(root, 'services/aggregator/bin/medley-aggregator.js'),
    'medley-audit': join(root, 'services/audit/bin/medley-audit.js'),
    'verify.mjs': join(root, 'services/operator/verify/verify.mjs'),
  },
  node: process.execPath,
  env,
  cwd: root,
  signal: stop.signal,
});

/** Commander prints its own words; a fault of usage ends with 2 as in every other command. */
function readOptions(): DemoOptions {
  try {
    return demoCommand(version).exitOverride().parse().opts<DemoOptions>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  }
}

/** Ctrl-C must not wait for a step that waits for a process. */
async function interruptible<T>(work: Promise<T>): Promise<T> {
  const stopped = once(stop.signal, 'abort').then(() => {
    throw stop.signal.reason;
  });
  return Promise.race([work, stopped]);
}

async function show(figures: DemoFigures, box: Box): Promise<void> {
  terminal.say('');
  terminal.result(figures, figuresTable(figures));
  terminal.say('');
  terminal.say('The pooled column exists only because this demo owns all the files.');
  const { maskedVectors, chiSquare } = figures.aggregatorSaw;
  terminal.say(
    `The aggregator saw ${String(maskedVectors)} masked vectors (χ² of their bytes ${chiSquare.toFixed(1)}, 255 degrees of freedom) and their sums.`,
  );
  const { verified, entries, checkpoints } = figures.audit;
  terminal.say(
    `Audit trail: ${verified ? 'verified' : 'FAILED'}, ${String(entries)} entries under ${String(checkpoints)} checkpoints.`,
  );
  terminal.say(`node verify.mjs ${join(box.out, 'audit')}`);
  for (const { ok, name, detail } of figures.bundle.claims) {
    terminal.say(`  ${ok ? 'PASS' : 'FAIL'}  ${name.padEnd(13)} ${detail}`);
  }
  if (figures.privacy) for (const line of privacyLines(figures.privacy)) terminal.say(line);
  const training = figures.rounds.filter(({ kind }) => kind === 'training');
  const each = (value: (round: (typeof training)[number]) => number): number =>
    training.reduce((sum, round) => sum + value(round), 0) / Math.max(1, training.length);
  terminal.say(
    `A training round took ${each((r) => r.seconds).toFixed(2)} s, ${kilobytes(each((r) => r.bytesUp))} up and ${kilobytes(each((r) => r.bytesDown))} down for all hospitals together.`,
  );
  terminal.say(`Report: ${join(box.out, 'index.html')}   Total: ${figures.seconds.toFixed(1)} s`);
  if (options.json) {
    const file = resolve(options.json);
    await writeDurably(file, `${JSON.stringify(figures, undefined, 2)}\n`, { mode: 0o644 });
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

const work = resolve(options.work);
let hasBegun = false;
try {
  const folder = resolve(options.silosFolder ?? join(root, 'deploy', 'demo'));
  await mkdir(work, { recursive: true, mode: 0o700 });
  const box: Box = {
    work,
    out: resolve(options.out),
    source: await findSilos(folder),
    rounds: options.rounds ?? null,
    privacy: options.dp ?? null,
    programs,
    terminal,
    clock: systemClock,
    signal: stop.signal,
  };
  hasBegun = true;
  const figures = await interruptible(runDemo(box));
  await show(figures, box);
  if (options.keep) {
    terminal.say(keepHint(box));
    await once(stop.signal, 'abort');
  }
} catch (error) {
  process.exitCode = terminal.fail(error);
  const logs = join(work, 'logs');
  if (hasBegun && existsSync(logs)) terminal.say(`Logs of every process: ${logs}`);
} finally {
  await programs.stopAll(5000);
}
