// npm run soak: see HELP. Started by scripts/soak.mjs.
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { table } from '@medley/kit';
import { attended, type AttendedResult } from './attended.ts';
import { flood, type FloodResult, type Served } from './flood.ts';

const HELP = `npm run soak -- [--agents N] [--minutes M] [--streams N] [--seconds S] [--json FILE]

Two walks of the aggregator that take longer than a test should.

Attendance: the real aggregator over its real database in simulated time. N agents keep their streams
open for M minutes, lose one now and then, and vouch for every checkpoint; an operator changes something
every minute. Everybody must hear a heartbeat within its lease, and what the process holds after each
minute must not grow.

Flood: the aggregator as a process of its own, N silos with a stream each over mutual TLS. Honest calls
are measured for S seconds in quiet and for S seconds while the same listener gets garbage instead of
TLS, TLS without a certificate, connections without a word, and, from one enrolled silo, calls far beyond
its share and messages that are too large. No honest call may fail and no stream may break.

  --agents N   default 500        --minutes M   simulated, default 10
  --streams N  default 1000       --seconds S   default 15
  --work DIR   where the database goes (default: /dev/shm where there is one)
  --json FILE  all figures
  --help       this text

Exit code 0 when both walks held.`;

const OPTIONS = {
  agents: { type: 'string', default: '500' },
  minutes: { type: 'string', default: '10' },
  streams: { type: 'string', default: '1000' },
  seconds: { type: 'string', default: '15' },
  work: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
  json: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Growth per minute, as a part of what is held, from which memory counts as growing. */
const MOST_GROWTH = 0.01;

process.exitCode = await main();

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (caught) {
    console.error(`${caught instanceof Error ? caught.message : ''}\n\n${HELP}`);
    return 2;
  }
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const numbers = [values.agents, values.minutes, values.streams, values.seconds].map(Number);
  const [agents, minutes, streams, seconds] = numbers as [number, number, number, number];
  if (!numbers.every((n) => Number.isSafeInteger(n) && n > 0) || minutes < 4) {
    console.error(`whole numbers above 0, and at least 4 minutes\n\n${HELP}`);
    return 2;
  }
  const onMinute = (minute: number, held: number): void =>
    console.log(`minute ${minute}: ${megabytes(held)} held`);
  const attendance = await attended({ agents, minutes, work: values.work, onMinute });
  const isHeld = reportAttendance(attendance);
  const flooding = await flood({ streams, seconds, say: console.log });
  const isServed = reportFlood(flooding);
  if (values.json !== undefined) {
    const document = { attended: { ...attendance, isHeld }, flood: { ...flooding, isServed } };
    writeFileSync(values.json, `${JSON.stringify(document, null, 2)}\n`);
  }
  return isHeld && isServed ? 0 : 1;
}

function reportAttendance(result: AttendedResult): boolean {
  const last = result.heldBytes.at(-1)!;
  const isFlat = result.growthPerMinute < MOST_GROWTH * last;
  const holds = isFlat && result.behind === 0;
  console.log(`
${result.agents} agents attended for ${result.minutes} simulated minutes in ${result.realSeconds.toFixed(0)} s
${result.heartbeats} heartbeats, longest silence ${result.longestSilenceSeconds} s, ${result.reconnections} reconnections
${result.checkpoints} checkpoints, ${result.cosignatures} cosignatures, ${result.behind} agents behind the newest
${megabytes(last)} held at the end, ${isFlat ? 'flat' : 'GROWING'}: ${megabytes(result.growthPerMinute)} a minute
`);
  return holds;
}

function reportFlood(result: FloodResult): boolean {
  const { quiet, flooded, attack, streams, brokenStreams } = result;
  const row = (name: string, { calls, failures, medianMs, p99Ms }: Served): string[] => [
    ...[name, String(calls), String(failures), medianMs.toFixed(1), p99Ms.toFixed(1)],
  ];
  const head = ['HONEST CALLS', 'MADE', 'FAILED', 'MEDIAN MS', '99 % MS'];
  console.log(`\n${table([head, row('in quiet', quiet), row('flooded', flooded)])}`);
  const isServed = quiet.failures + flooded.failures + brokenStreams === 0;
  console.log(`
${attack.garbage} connections of garbage, ${attack.strangers} without a certificate, ${attack.silent} without a word
${attack.calls} calls and ${attack.oversized} oversized messages of one silo, ${attack.refused} refused with a code
${streams} streams, ${brokenStreams} broken, longest silence ${result.longestSilenceSeconds.toFixed(1)} s
${megabytes(result.heldBytesBefore)} held before, ${megabytes(result.heldBytesAfter)} after; peak of the process ${megabytes(result.peakBytes)}
the honest were ${isServed ? 'served' : 'NOT SERVED'}
`);
  return isServed;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
