// npm run faults: see HELP. Started by scripts/faults.mjs; also the worker that it starts.
import { fork } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { table } from '@medley/kit';
import { matrixOf, totalsOf, type Totals } from './matrix.ts';
import type { CaseResult } from './plan.ts';
import { runKills, type RealResult } from './real.ts';
import { simulate } from './run.ts';

const HELP = `npm run faults -- [--seed S] [--cases N] [--real [--kills N]] [--json FILE]

Runs a consortium of three or four hospitals in simulated time: the real state machines of aggregator
and agents over their real database and files, a network and a clock of the simulation. Each case
disturbs one run at one moment (agent or aggregator killed before or after it writes, disk full, clock
moved, message lost, doubled, overtaken or late, transfer cut). Sums and models must then be bit for bit
those of the undisturbed run with the same hospitals, or the attempt ends with nothing revealed and the
next one succeeds. Every byte that left an agent is checked: never both shares of one hospital, never a
second masked vector under the same keys.

  --seed S     another order, other delays, other keys (default: medley)
  --cases N    how many (default: 1000; one of every fault at every step comes first)
  --real       afterwards the real programs: an aggregator and three agents as processes, which are killed
               with SIGKILL at every step of a round, from outside, and started again; the study must end
               with the very model of the same study undisturbed
  --kills N    at most so many of them (default: 15, all)
  --json FILE  {cases, identical, cleanlyAborted, failed, realKills, …}
  --workers N  processes (default: one a core)
  --work DIR   where the databases go (default: /dev/shm where there is one)
  --help       this text

The same seed and cases give the same runs. Exit code 0 when no case failed.`;

const OPTIONS = {
  seed: { type: 'string', default: 'medley' },
  cases: { type: 'string', default: '1000' },
  real: { type: 'boolean', default: false },
  kills: { type: 'string', default: '15' },
  json: { type: 'string' },
  workers: { type: 'string', default: String(availableParallelism()) },
  work: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
  part: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

process.exitCode = await main();

async function main(): Promise<number> {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (caught) {
    console.error(`${caught instanceof Error ? caught.message : ''}\n\n${HELP}`);
    return 2;
  }
  const { seed, work } = values;
  const [cases, workers, kills] = [values.cases, values.workers, values.kills].map(Number) as [
    number,
    number,
    number,
  ];
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (![cases, workers, kills].every((n) => Number.isSafeInteger(n) && n > 0)) {
    console.error(`--cases, --workers and --kills are whole numbers above 0\n\n${HELP}`);
    return 2;
  }
  if (values.part !== undefined) {
    const onResult = (result: CaseResult): void => void process.send?.(result);
    await simulate({ seed, cases, work, part: Number(values.part), of: workers, onResult });
    return 0;
  }
  const totals = report(await all({ seed, cases, work, workers }));
  const real = values.real ? await runKills(3 * kills, kills, console.log) : undefined;
  const isReal = real === undefined || reportReal(real);
  if (values.json !== undefined) {
    const document = { ...totals, realKills: real?.kills.length ?? 0, ...(real && { real }) };
    writeFileSync(values.json, `${JSON.stringify(document, null, 2)}\n`);
  }
  return totals.failed === 0 && isReal ? 0 : 1;
}

interface Wanted {
  readonly seed: string;
  readonly cases: number;
  readonly work: string;
  readonly workers: number;
}

async function all({ seed, cases, work, workers }: Wanted): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  const begin = performance.now();
  const run = (part: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const args = ['--seed', seed, '--cases', String(cases), '--work', work];
      const worker = fork(fileURLToPath(import.meta.url), [
        ...args,
        ...['--workers', String(workers), '--part', String(part)],
      ]);
      worker.on('message', (result: CaseResult) => {
        results.push(result);
        if (result.verdict?.kind === 'failed')
          console.log(`FAILED ${result.label}\n  ${result.verdict.why.join('\n  ')}`);
        if (results.length % 200 === 0) console.log(`${results.length} of ${cases}`);
      });
      worker.on('exit', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`worker ${part} ended with ${String(code)}`));
      });
    });
  await Promise.all(Array.from({ length: workers }, (_, part) => run(part)));
  console.log(`${((performance.now() - begin) / 1000).toFixed(1)} s, ${workers} workers\n`);
  return results;
}

function report(results: readonly CaseResult[]): Totals {
  const totals = totalsOf(results);
  console.log(matrixOf(results));
  const { cases, identical, withFewer, cleanlyAborted, failed, notReached, resumed } = totals;
  console.log(`
${cases} cases: ${identical} identical (${withFewer} of them with fewer silos in a sum), ${cleanlyAborted} cleanly aborted, ${failed} failed
${notReached} more did not come to their moment; ${resumed} uploads went on at an offset
A cell is identical+aborted; a dot: the fault cannot strike there.\n`);
  return totals;
}

/** Prints the kills of real processes; true when they changed nothing. */
function reportReal({ kills, undisturbed, killed, aborted, verified }: RealResult): boolean {
  const rows = kills.map(({ step, victim, phase }) => [step, victim, phase ?? '']);
  console.log(table([['KILLED IN', 'WHO', 'ON ITS DISK'], ...rows]));
  const isSame = undisturbed === killed;
  console.log(`
${kills.length} kills of real processes, ${aborted} attempts aborted; the log ${verified ? 'verifies' : 'DOES NOT VERIFY'}
last model undisturbed ${undisturbed}
last model killed      ${killed}${isSame ? '' : '   DIFFERENT'}`);
  return isSame && verified && kills.length > 0;
}
