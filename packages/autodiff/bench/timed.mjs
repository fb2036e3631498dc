/** Aim for one timed run, so that the cost of starting it does not count. */
const RUN_MS = 400;
const RUNS = 7;
/** What the timed runs of one case may take together. */
const BUDGET_MS = 20_000;
/** More steps than this in one run only cost memory. */
const MOST_STEPS = 2000;

/**
 * Median milliseconds of a step. `run(steps)` performs so many steps and gives the milliseconds they
 * took. A first run warms up; the number of steps of the timed ones follows from it.
 */
export async function timed(run) {
  let steps = 1;
  let warm = await run(steps);
  while (warm < RUN_MS / 4 && steps < MOST_STEPS) {
    steps = Math.min(MOST_STEPS, steps * 4);
    warm = await run(steps);
  }
  const each = warm / steps;
  const count = Math.min(MOST_STEPS, Math.max(1, Math.round(RUN_MS / each)));
  const runs = Math.max(1, Math.min(RUNS, Math.floor(BUDGET_MS / (each * count))));
  const times = [];
  if (each < BUDGET_MS) for (let i = 0; i < runs; i++) times.push((await run(count)) / count);
  else times.push(each);
  times.sort((a, b) => a - b);
  return {
    ms: times[Math.floor(times.length / 2)],
    steps: runs * count,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}
