import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeConsortium, type Consortium } from './consortium.ts';
import { allCases, chosen, runCase, undisturbed, type CaseResult } from './plan.ts';
import { judge } from './verdict.ts';

export interface SimulationOptions {
  readonly seed: string;
  readonly cases: number;
  /** Sizes of the consortium; {@link SIZES} when absent. */
  readonly sizes?: readonly number[];
  /** A folder to make others in; the faster, the better. */
  readonly work: string;
  /** Which share of the cases: every `of`-th, from `part` on. */
  readonly part: number;
  readonly of: number;
  readonly onResult?: (result: CaseResult) => void;
}

/**
 * Sizes of the consortium: with three silos nobody may be lost (threshold 3 of 3), with four one may.
 */
export const SIZES = [3, 4] as const;

/** Runs a share of the cases that a seed gives, one after the other. */
export async function simulate(options: SimulationOptions): Promise<readonly CaseResult[]> {
  const { seed, cases, work, part, of, onResult, sizes = SIZES } = options;
  mkdirSync(work, { recursive: true });
  const folder = mkdtempSync(join(work, 'medley-faults-'));
  try {
    const consortia = new Map<number, Consortium>();
    const lists = [];
    for (const silos of sizes) {
      const consortium = await makeConsortium(silos, join(folder, `template-${silos}`));
      consortia.set(silos, consortium);
      const whole = await undisturbed(consortium, join(folder, 'undisturbed'), seed);
      const short = await undisturbed(consortium, join(folder, 'undisturbed'), seed, false);
      const verdict = judge(consortium, whole);
      if (verdict.kind !== 'identical') throw new Error(`undisturbed: ${JSON.stringify(verdict)}`);
      lists.push(allCases(silos, whole, short, seed));
    }
    const results: CaseResult[] = [];
    const mine = chosen(lists, cases).filter((_one, i) => i % of === part);
    for (const one of mine) {
      const result = await runCase(consortia.get(one.silos)!, one, join(folder, 'case'));
      results.push(result);
      onResult?.(result);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
