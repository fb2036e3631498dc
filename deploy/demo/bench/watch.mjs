import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** No round takes this long; then something is wrong. */
const LIMIT_MS = 180_000;

/** Starts agents and study, waits for its end, and reads times, bytes and memory. */
export async function watchRounds(prepared, progress) {
  const { programs, work, names, homeOf, aggregator, operator, study, start, signal } = prepared;
  const ends = new Set();
  const over = Promise.withResolvers?.() ?? deferred();
  let lastMs = performance.now();
  // Processor time from the first verified round on: what is set up once is not in it.
  let warm;
  const agents = names.map((name) =>
    programs.start(name, 'medley-agent', ['run', '--home', homeOf(name)], {
      log: join(work, 'logs', `${name}.log`),
      onLine: (line) => {
        lastMs = performance.now();
        if (line.includes('"round verified"')) {
          warm ??= Promise.all([aggregator, ...agents].map(({ pid }) => cpuSeconds(pid)));
          progress(`${name}: ${roundIn(line)}`);
        }
        if (line.includes('"refused"')) over.reject(new Error(`${name}: ${line}`));
        if (line.includes('"study complete"')) ends.add(name);
        if (ends.size === names.length) over.resolve();
      },
    }),
  );
  const gone = [aggregator, ...agents].map(async (running) => {
    await running.ended;
    throw new Error(`${running.name} ended`);
  });
  // They end in the end; by then nobody listens.
  for (const one of gone) one.catch(() => undefined);
  const watchdog = setInterval(() => {
    if (signal.aborted) over.reject(signal.reason);
    if (performance.now() - lastMs > LIMIT_MS) over.reject(new Error('the rounds came to a halt'));
  }, 200);
  try {
    await start();
    await Promise.race([over.promise, ...gone]);
  } finally {
    clearInterval(watchdog);
  }
  const before = (await warm) ?? [];
  const after = await Promise.all([aggregator, ...agents].map(({ pid }) => cpuSeconds(pid)));
  const used = after.map((seconds, i) => seconds - (before[i] ?? 0));
  const memory = await Promise.all(agents.map(({ pid }) => peakBytes(pid)));
  const aggregatorPeakBytes = await peakBytes(aggregator.pid);
  const report = await programs.call('medley', 'study', 'status', study, ...operator);
  const timed = report.rounds.length - 1;
  return {
    ...averages(report.rounds.filter(({ kind }) => kind === 'training')),
    aggregatorCpuSeconds: used[0] / timed,
    siloCpuSeconds: used.slice(1).reduce((sum, one) => sum + one, 0) / agents.length / timed,
    aggregatorPeakBytes,
    siloPeakBytes: Math.max(...memory),
  };
}

/** The first round warms up; every other one lasts from the end of the one before it. */
function averages(all) {
  const rounds = all.toSorted((a, b) => a.round - b.round);
  const aborted = rounds.find(({ step, attempt }) => step !== 'closed' || attempt !== 1);
  if (aborted) throw new Error(`round ${aborted.round} did not close at once`);
  const timed = rounds.slice(1);
  const mean = (value) => timed.reduce((sum, round) => sum + value(round), 0) / timed.length;
  return {
    secondsPerRound: (timed.at(-1).closedMs - rounds[0].closedMs) / 1000 / timed.length,
    stepMs: stepMeans(timed),
    bytesUp: mean(({ bytesUp }) => bytesUp),
    bytesDown: mean(({ bytesDown }) => bytesDown),
  };
}

/** Mean milliseconds between entering a step and entering the next. */
function stepMeans(rounds) {
  const means = {};
  for (const { steps } of rounds) {
    for (let i = 1; i < steps.length; i++) {
      const { step, atMs } = steps[i - 1];
      means[step] = (means[step] ?? 0) + (steps[i].atMs - atMs) / rounds.length;
    }
  }
  return means;
}

function roundIn(line) {
  return `round ${/"round":(\d+)/.exec(line)?.[1] ?? ''} verified`;
}

/** Largest resident memory so far (Linux); 0 where the system does not say. */
async function peakBytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}

/** Processor time so far, user and system (Linux); 0 where the system does not say. */
async function cpuSeconds(pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // Behind the name, which may hold anything: state is field 3, times are 14 and 15, in ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
}

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
