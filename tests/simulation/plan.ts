import { permutation, seededRng, type Logger } from '@medley/kit';
import type { Consortium } from './consortium.ts';
import { FAULTS, type Fault } from './fault.ts';
import { keyOf, type Moment, type StepName } from './moment.ts';
import { judge, type Verdict } from './verdict.ts';
import { World, type Run } from './world.ts';

/** One fault at one moment of one run. */
export interface Case {
  readonly fault: Fault;
  readonly moment: Moment;
  readonly silos: number;
  /** Of the network's delays and of all keys. */
  readonly seed: string;
  /** To the end of the study, or until the disturbed round is verified by everybody. */
  readonly isWhole: boolean;
}

export interface CaseResult {
  readonly fault: string;
  readonly step: StepName;
  readonly label: string;
  /** Undefined when the run took another course and the moment did not come. */
  readonly verdict: Verdict | undefined;
  /** Uploads that went on at an offset. */
  readonly resumed: number;
}

/** A run that nothing disturbs. */
export async function undisturbed(
  consortium: Consortium,
  folder: string,
  seed: string,
  isWhole = true,
): Promise<Run> {
  return new World({ consortium, folder, seed, isWhole }).run();
}

/**
 * Every moment of an undisturbed run with every fault that can strike at it, in an order that mixes
 * them. `run` goes to the study's end, `short` until the first round is verified: only what strikes
 * later needs the whole study.
 */
export function allCases(silos: number, run: Run, short: Run, seed: string): readonly Case[] {
  const early = new Set(short.moments.map(keyOf));
  const pairs = run.moments.flatMap((moment) =>
    FAULTS.filter(({ strikesAt }) => strikesAt(moment)).map((fault) => ({ fault, moment })),
  );
  const order = permutation(seededRng(`${seed} order ${silos}`), pairs.length);
  return [...order].map((place, i) => {
    const pair = pairs[place]!;
    const isWhole = i % 8 === 0 || !early.has(keyOf(pair.moment));
    return { ...pair, silos, seed: `${seed} ${silos} ${i}`, isWhole };
  });
}

/**
 * The first `count` cases: first one of every fault at every step, then the others, short runs before
 * long ones, then all again under other delays and keys. `lists` has the cases of each size of consortium.
 */
export function chosen(lists: readonly (readonly Case[])[], count: number): readonly Case[] {
  const mixed = lists.flatMap((list) => list);
  const cell = ({ fault, moment, silos }: Case): string => `${fault.name} ${moment.step} ${silos}`;
  const seen = new Set<string>();
  const first = mixed.filter((one) => !seen.has(cell(one)) && seen.add(cell(one)));
  const rest = mixed.filter((one) => !first.includes(one));
  rest.sort((a, b) => Number(a.isWhole) - Number(b.isWhole));
  const all = [...first, ...rest];
  return Array.from({ length: count }, (_, i) => {
    const turn = Math.floor(i / all.length);
    const one = all[i % all.length]!;
    return turn === 0 ? one : { ...one, seed: `${one.seed} turn ${turn}` };
  });
}

/** Runs one case in `folder`, which is removed afterwards. */
export async function runCase(
  consortium: Consortium,
  { fault, moment, seed, isWhole }: Case,
  folder: string,
  logger?: Logger,
): Promise<CaseResult> {
  const key = keyOf(moment);
  const strike = fault.make();
  const struck = new Set<string>();
  const world = new World({
    consortium,
    folder,
    seed,
    isWhole,
    ...(logger && { logger }),
    strike: (present, at) => {
      const isIt = !struck.has(key) && keyOf(at) === key;
      if (isIt) struck.add(key);
      return strike(present, at, isIt);
    },
  });
  const label = `${fault.name} at ${key} (${seed})`;
  const shared = { fault: fault.name, step: moment.step, label };
  try {
    const run = await world.run();
    const verdict = struck.has(key) ? judge(consortium, run) : undefined;
    return { ...shared, verdict, resumed: run.resumed };
  } catch (caught) {
    const why = [caught instanceof Error ? (caught.stack ?? caught.message) : String(caught)];
    return { ...shared, verdict: { kind: 'failed', why }, resumed: 0 };
  }
}
