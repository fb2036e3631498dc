// Whole masked rounds through the real programs over mutual TLS: an aggregator and N agents, enrolled as
// the demo enrols them, with a study whose local work costs nothing.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createTerminal, MedleyError, systemClock } from '@medley/kit';
import { Programs } from '../dist/programs.js';
import { largestError } from './exact.mjs';
import { prepare } from './prepare.mjs';
import { watchRounds } from './watch.mjs';

export const HELP = `npm run bench -- round [--silos N] [--size D] [--rounds R] [--ring BITS]
                        [--json FILE] [--profile FOLDER]

Whole rounds of the five steps through real processes: one aggregator and N agents, each with its own
keys, over mutual TLS on this machine. The vectors have D words; nothing is trained, an agent offers the
same update every time. Prints seconds a round, bytes each way, the largest resident memory of both
sides, and the largest error of the opened mean against the exact one.

  --silos N        3 to 20 (5)
  --size D         words of a vector, 50 to 16000000 (1000000)
  --rounds R       rounds that are timed, after one to warm up (by size)
  --ring BITS      32, 16 or 12: width of the words that updates travel in (32)
  --json FILE      write the figures to FILE
  --profile FOLDER every process writes a CPU profile there

Figures: secondsPerRound (from the end of one round to the end of the next: verification by every silo
is in it), aggregatorCpuSeconds and siloCpuSeconds (processor time a round, of all threads; the mean
silo), bytesUp and bytesDown (a round, all silos together), aggregatorPeakBytes, siloPeakBytes (the
largest silo), maxError and errorBound (n·Δ).`;

/** Runs the bench; gives the exit code. */
export async function main(args) {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  const stop = new AbortController();
  const interrupt = (signal) => stop.abort(new MedleyError('INTERRUPTED', signal));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const work = await mkdtemp(join(tmpdir(), 'medley-bench-'));
  const node = options.profile ? await profiling(options.profile, work) : process.execPath;
  const programs = programsOf(node, stop.signal);
  try {
    const document = await bench(options, { work, programs, signal: stop.signal });
    print(document);
    if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) {
      process.stderr.write(`\n${error.message}\n`);
      return 1;
    }
    process.stderr.write('\ninterrupted\n');
    return 130;
  } finally {
    await programs.stopAll(5000);
    await rm(work, { recursive: true, force: true });
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

async function bench({ silos, size, rounds, ring, bits }, { work, programs, signal }) {
  const { stdout, stderr, env } = process;
  const terminal = createTerminal({ stdout, stderr, env, json: false });
  const clock = systemClock;
  const box = { work, out: join(work, 'out'), rounds: null, programs, terminal, clock, signal };
  // One round more to warm up: connections, compiled code, the first write of every file.
  const prepared = await prepare({ ...box, silos, size, rounds: rounds + 1, ring, bits }, progress);
  const watched = await watchRounds(prepared, progress);
  const { maxError, errorBound } = await largestError(prepared);
  progress('');
  return {
    machine: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    silos,
    size,
    rounds,
    ring,
    bits,
    ...watched,
    maxError,
    errorBound,
  };
}

/** A node that writes a profile when it ends: the flag may not stand in NODE_OPTIONS. */
async function profiling(folder, work) {
  const file = join(work, 'node');
  const flags = `--cpu-prof "--cpu-prof-dir=${resolve(folder)}"`;
  await writeFile(file, `#!/bin/sh\nexec "${process.execPath}" ${flags} "$@"\n`, { mode: 0o700 });
  return file;
}

function programsOf(node, signal) {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  return new Programs({
    files: {
      medley: join(root, 'services/operator/bin/medley.js'),
      'medley-agent': join(root, 'deploy/demo/bench/agent.mjs'),
      'medley-aggregator': join(root, 'services/aggregator/bin/medley-aggregator.js'),
      'medley-audit': join(root, 'services/audit/bin/medley-audit.js'),
    },
    node,
    env: process.env,
    cwd: root,
    signal,
  });
}

function optionsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        silos: { type: 'string', default: '5' },
        size: { type: 'string', default: '1000000' },
        rounds: { type: 'string' },
        ring: { type: 'string', default: '32' },
        json: { type: 'string' },
        profile: { type: 'string' },
      },
    });
    const silos = whole('silos', values.silos, 3, 20);
    const size = whole('size', values.size, 50, 16_000_000);
    const usual = size <= 10_000 ? 40 : size <= 1_000_000 ? 10 : 4;
    const rounds = whole('rounds', values.rounds ?? usual, 1, 1000);
    const ring = Number(values.ring);
    if (![32, 16, 12].includes(ring)) throw new Error('--ring is 32, 16 or 12');
    // The finest quantiser whose sum fits into the ring; 22 bits are the default of a study.
    let bits = 22;
    while (silos * 2 ** (bits - 1) >= 2 ** (ring - 1)) bits -= 1;
    return { silos, size, rounds, ring, bits, json: values.json, profile: values.profile };
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    return undefined;
  }
}

function whole(name, text, low, high) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new Error(`--${name} is a whole number from ${low} to ${high}`);
  }
  return value;
}

function progress(line) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

function print(figures) {
  const { silos, size, rounds, secondsPerRound, bytesUp, bytesDown } = figures;
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  console.log(`${silos} silos, ${size} words, ${rounds} rounds over mutual TLS`);
  console.log(`  a round                 ${secondsPerRound.toFixed(3)} s`);
  const { aggregatorCpuSeconds: hub, siloCpuSeconds: silo } = figures;
  console.log(
    `  processor time          ${hub.toFixed(3)} s aggregator, ${silo.toFixed(3)} s a silo`,
  );
  console.log(`  to the aggregator       ${megabytes(bytesUp)} a round, all silos`);
  console.log(`  to the silos            ${megabytes(bytesDown)} a round`);
  console.log(`  memory, aggregator      ${megabytes(figures.aggregatorPeakBytes)}`);
  console.log(`  memory, largest silo    ${megabytes(figures.siloPeakBytes)}`);
  console.log(
    `  largest error           ${figures.maxError.toExponential(2)} (at most ${figures.errorBound.toExponential(2)})`,
  );
}
