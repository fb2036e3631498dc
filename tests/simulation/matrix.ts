import { table } from '@medley/kit';
import { FAULTS } from './fault.ts';
import { STEPS, type StepName } from './moment.ts';
import type { CaseResult } from './plan.ts';

/** How many runs ended how. */
export interface Totals {
  cases: number;
  /** Sums and models bit for bit as without the fault; of these with fewer silos in a sum: `withFewer`. */
  identical: number;
  withFewer: number;
  /** An attempt ended with nothing revealed, and the next one succeeded. */
  cleanlyAborted: number;
  failed: number;
  /** Moments that did not come, because the run took another course. Not counted as cases. */
  notReached: number;
  /** Uploads that went on at an offset. */
  resumed: number;
}

export function totalsOf(results: readonly CaseResult[]): Totals {
  const totals = {
    ...{ cases: 0, identical: 0, withFewer: 0, cleanlyAborted: 0, failed: 0 },
    ...{ notReached: 0, resumed: 0 },
  };
  for (const { verdict, resumed } of results) {
    totals.resumed += resumed;
    if (!verdict) {
      totals.notReached += 1;
      continue;
    }
    totals.cases += 1;
    totals[verdict.kind] += 1;
    if (verdict.kind === 'identical' && verdict.survivors === 'fewer') totals.withFewer += 1;
  }
  return totals;
}

/** Steps across, faults down: identical + cleanly aborted, and failed where there are any. */
export function matrixOf(results: readonly CaseResult[]): string {
  const cell = (fault: string, step: StepName): string => {
    const mine = results.filter((one) => one.fault === fault && one.step === step);
    const { cases, identical, cleanlyAborted, failed } = totalsOf(mine);
    if (cases === 0) return '·';
    const good = cleanlyAborted > 0 ? `${identical}+${cleanlyAborted}` : String(identical);
    return failed > 0 ? `${good} FAILED ${failed}` : good;
  };
  const rows = FAULTS.map(({ name }) => [name, ...STEPS.map((step) => cell(name, step))]);
  return table([['FAULT', ...STEPS.map((step) => step.toUpperCase())], ...rows]);
}
