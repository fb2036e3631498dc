// One round of the secure aggregation in one process: the state machines of both sides, the real
// cryptography, the aggregator's own blob store and its opening of the sum.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemRng } from '@medley/kit';
import { createMasker, defaultThreshold, layoutLength } from '@medley/secagg';
import { openBlobs } from '../dist/blob/blobs.js';
import { openSum } from '../dist/rounds/unmask.js';
import { measureLimits } from './limit.mjs';
import { Meter, collectGarbage } from './meter.mjs';
import { Session, pretendTerms } from './session.mjs';

export const HELP = `npm run bench -- secagg [--silos N] [--size D] [--drop K] [--threads T] [--json FILE]

One round of the secure aggregation with real keys and real masks, in one process: N silos with vectors
of D words, K of which are lost after their shares. Checks that the opened sum is exact. Prints time and
memory of both sides by step, beside the limit measured in the same run (AES-256-CTR over as many bytes
and one pass over memory).

  --silos N    3 to 200 (20)
  --size D     words of a vector, 1 to 100000000 (1000000)
  --drop K     silos lost between shares and masked vector (1)
  --threads T  threads for masks (cores of this machine)
  --json FILE  write the figures to FILE

Figures: silo.maskSeconds (mean over the silos, encoding not included), silo.seconds by step,
aggregator.unmaskSeconds (secrets, sum of the stored vectors, masks), aggregator.peakBytes (growth of
memory while the sum is opened), aggregator.seconds by step, round.seconds (the whole round, all silos
one after another; above 50 silos two mask at a time),
mask1e7.ms (one mask over 10^7 words), limit1e7.ms.`;

/** Up to here one silo masks at a time, so that its seconds are those of a machine of its own. */
const CALM_SILOS = 50;

/** Runs the bench; gives the exit code. */
export async function main(args) {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  const folder = await mkdtemp(join(tmpdir(), 'medley-bench-'));
  const masker = createMasker({ threads: options.threads });
  try {
    const figures = await round(options, { folder, masker, signal: stop.signal });
    const document = {
      machine: cpus()[0]?.model ?? 'unknown',
      node: process.version,
      ...options.shown,
      ...figures,
      ...measureLimits(),
    };
    print(document);
    if (options.json) await writeFile(options.json, `${JSON.stringify(document, null, 2)}\n`);
    return 0;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    process.stderr.write('\ninterrupted\n');
    return 130;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    await masker.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function round({ silos, size, drop, atOnce }, { folder, masker, signal }) {
  const terms = pretendTerms(silos, size);
  const blobs = await openBlobs(folder, systemRng);
  const meter = new Meter();
  const session = new Session({ terms, masker, blobs, meter, signal, progress, atOnce });
  const lost = new Set(terms.roster.slice(0, drop).map(({ index }) => index));
  const began = performance.now();
  await session.run('advertise');
  await session.run('share');
  await session.run('mask', lost);
  await session.run('confirm', lost);
  await session.run('release', lost);
  progress('opening the sum');
  const opened = await open(terms, session, { blobs, masker });
  const seconds = (performance.now() - began) / 1000;
  progress('');
  if (!isSame(opened.sum, session.plainSum)) throw new Error('the opened sum is not exact');
  const survivors = silos - drop;
  return {
    silo: {
      maskSeconds: meter.of('silo mask') / survivors,
      seconds: meter.steps(
        'silo',
        { mask: survivors, confirm: survivors, release: survivors },
        silos,
      ),
    },
    aggregator: {
      unmaskSeconds: opened.seconds,
      peakBytes: opened.peakBytes,
      seconds: { ...meter.steps('aggregator', {}, 1), unmask: opened.seconds },
    },
    // What only the bench does, to have something to add up, is no part of a round.
    round: { seconds: seconds - meter.of('bench') },
    exact: true,
  };
}

/** The aggregator's own code, with a look at memory after each piece that it reads. */
async function open(terms, session, { blobs, masker }) {
  collectGarbage();
  const words = layoutLength(terms.layout);
  const used = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const base = used();
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, used() - base);
  };
  const watched = {
    sizeOf: (hash) => blobs.sizeOf(hash),
    forEach: (hash, use) =>
      blobs.forEach(hash, (piece) => {
        look();
        use(piece);
      }),
  };
  const began = performance.now();
  const { sum } = await openSum(terms, session.coordinator, watched, masker);
  const seconds = (performance.now() - began) / 1000;
  look();
  // Memory that threads share is not in the process's own count of external memory.
  const shared = sum.buffer instanceof SharedArrayBuffer ? 4 * words : 0;
  return { sum, seconds, peakBytes: peak + shared };
}

function isSame(a, b) {
  return a.length === b.length && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

function bytesOf(words) {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function optionsOf(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        silos: { type: 'string', default: '20' },
        size: { type: 'string', default: '1000000' },
        drop: { type: 'string', default: '1' },
        threads: { type: 'string', default: String(availableParallelism()) },
        json: { type: 'string' },
      },
    });
    const silos = whole('silos', values.silos, 3, 200);
    const size = whole('size', values.size, 1, 100_000_000);
    const spare = silos - Math.max(3, defaultThreshold(silos));
    const drop = whole('drop', values.drop, 0, spare);
    const threads = whole('threads', values.threads, 1, 256);
    const atOnce = silos > CALM_SILOS ? 2 : 1;
    const shown = { silos, size, drop, threads, atOnce };
    return { ...shown, json: values.json, shown };
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

function print({ silo, aggregator, round, mask1e7, limit1e7, silos, size, drop, threads }) {
  const ms = (seconds) => `${(1000 * seconds).toFixed(1)} ms`;
  const rows = ['advertise', 'share', 'mask', 'confirm', 'release', 'unmask'].map((step) => [
    step,
    step in silo.seconds ? ms(silo.seconds[step]) : '',
    ms(aggregator.seconds[step]),
  ]);
  console.log(`${silos} silos, ${size} words, ${drop} lost, ${threads} threads`);
  for (const [step, a, b] of [['STEP', 'A SILO', 'AGGREGATOR'], ...rows]) {
    console.log(`  ${step.padEnd(12)}${a.padStart(12)}${b.padStart(14)}`);
  }
  console.log(`  masking at a silo       ${silo.maskSeconds.toFixed(3)} s`);
  console.log(`  opening of the sum      ${aggregator.unmaskSeconds.toFixed(3)} s`);
  console.log(`  memory of the opening   ${(aggregator.peakBytes / 1e6).toFixed(1)} MB`);
  console.log(`  whole round             ${round.seconds.toFixed(2)} s, the sum is exact`);
  console.log(
    `  one mask over 10^7 words ${mask1e7.ms.toFixed(1)} ms; limit ${limit1e7.ms.toFixed(1)} ms (${(mask1e7.ms / limit1e7.ms).toFixed(2)} times)`,
  );
}
