import type { Command } from 'commander';
import { EXIT, MedleyError, table } from '@medley/kit';
import {
  arithmetic,
  epsilonFigure,
  gaussianPrice,
  left,
  LEDGER_ACCOUNTANT,
  protectedUnit,
  spent,
  studyShares,
  wouldSpend,
  type Adjacency,
  type Forecast,
  type PrivacyLimit,
  type PrivacyUnit,
  type StudyShare,
} from '@medley/privacy';
import { openLedger, type BudgetLedger } from '../budget/ledger.ts';
import { openHome } from '../home.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type Options = SharedOptions & { readonly whatIf?: string };

/** The figures of `medley-agent budget --json`; every ε at `limit.delta`. */
interface BudgetReport {
  readonly dataset: string;
  readonly limit: PrivacyLimit;
  readonly spent: number;
  readonly left: number;
  /** True when the best order is the first or last: another accountant may show less. */
  readonly isEdge: boolean;
  readonly releases: number;
  readonly unit: PrivacyUnit | null;
  readonly adjacency: Adjacency | null;
  readonly accountant: { readonly name: string; readonly version: string };
  readonly studies: readonly StudyShare[];
  readonly whatIf?: Forecast;
}

/** `medley-agent budget`: what the patients of this data set have lost, and may still. */
export function budgetCommand(
  program: Command,
  context: CommandContext,
  setExit: (code: number) => void,
): void {
  command(program, 'budget', 'show the privacy budget: spent, left, and what each study took')
    .option(
      '--what-if <parameters>',
      'what a training would do to it: rate=…,noise=…,steps=…; nothing is spent',
    )
    .addHelpText(
      'after',
      `
The ledger of this hospital's data set, over all studies. Epsilon bounds how much a release can tell
about one patient, at a chance delta that it fails; the limit is privacy.epsilon and privacy.delta in
agent.yaml. Every release is debited before it leaves, and at the limit nothing leaves any more.

Epsilons do not add up: releases are summed at many Renyi orders and converted once, so the whole is
less than the studies' figures together, and a further study takes less than it would alone. What fits,
--what-if says. It knows training with noise (DP-SGD): rate is the chance of each patient to be drawn
in a step, noise the multiplier of the clipping bound, steps all local steps of the study together.

  medley-agent budget
  medley-agent budget --json
  medley-agent budget --what-if rate=0.01,noise=1.1,steps=3000

Asks nobody and changes nothing. Exit code 7 when the what-if does not fit.
`,
    )
    .action(async (options: Options) => {
      const mechanism = options.whatIf === undefined ? undefined : parseWhatIf(options.whatIf);
      const home = await openHome(homeOf(context, options));
      const report = await reportOf(openLedger(home, context), mechanism);
      context.terminal(options.json).result(report, reportText(report));
      if (report.whatIf?.fits === false) setExit(EXIT.policy);
    });
}

async function reportOf(
  ledger: BudgetLedger,
  mechanism: Parameters<typeof gaussianPrice>[0] | undefined,
): Promise<BudgetReport> {
  const { dataset, limit } = ledger;
  const entries = await ledger.entries();
  const { epsilon, isEdge } = spent(entries, limit.delta);
  const { unit = null, adjacency = null } = protectedUnit(entries) ?? {};
  return {
    dataset,
    limit,
    spent: epsilon,
    left: left(entries, limit),
    isEdge: entries.length > 0 && isEdge,
    releases: entries.length,
    unit,
    adjacency,
    accountant: LEDGER_ACCOUNTANT,
    studies: studyShares(entries, limit.delta),
    ...(mechanism && { whatIf: wouldSpend(entries, gaussianPrice(mechanism).curve, limit) }),
  };
}

const NEIGHBOURS: Readonly<Record<Adjacency, string>> = {
  addRemove: 'one more or less',
  replaceOne: 'one exchanged for another',
};

function reportText(report: BudgetReport): string {
  const { dataset, limit, accountant, studies, unit, adjacency, whatIf } = report;
  const facts = [
    ['data set', dataset],
    ['limit', `epsilon ${String(limit.epsilon)} at delta ${String(limit.delta)}`],
    ['spent', `epsilon ${epsilonFigure(report.spent)}`],
    ['left', `epsilon ${String(Math.floor(report.left * 1e4) / 1e4)}`],
    ...(unit && adjacency ? [['protects', `a ${unit}: ${NEIGHBOURS[adjacency]}`]] : []),
    ['accountant', `${accountant.name} ${accountant.version}`],
  ];
  const rows = studies.map(({ study, releases, epsilon, last }) => [
    ...[study, String(releases), epsilonFigure(epsilon), last],
  ]);
  const parts = [
    table(facts),
    rows.length === 0
      ? 'The ledger is empty: nothing was released from this data set under differential privacy.'
      : table([['STUDY', 'RELEASES', 'EPSILON ALONE', 'LAST'], ...rows]),
  ];
  if (report.isEdge) parts.push('The best order is the first or last one kept: less may be spent.');
  if (whatIf)
    parts.push(`What if: ${arithmetic(whatIf)}: it ${whatIf.fits ? 'fits' : 'is refused'}.`);
  return parts.join('\n\n');
}

const USAGE = '--what-if is rate=…,noise=…,steps=…, e.g. rate=0.01,noise=1.1,steps=3000';

function parseWhatIf(text: string): Parameters<typeof gaussianPrice>[0] {
  const values = new Map<string, number>();
  for (const part of text.split(',')) {
    const [, name, number] =
      /^\s*(rate|noise|steps)=(\d[\d.]*(?:[eE][+-]?\d+)?)\s*$/.exec(part) ?? [];
    if (name === undefined || values.has(name)) throw new MedleyError('USAGE', USAGE);
    values.set(name, Number(number));
  }
  const [rate, noiseMultiplier, steps] = [
    values.get('rate'),
    values.get('noise'),
    values.get('steps'),
  ];
  if (rate === undefined || noiseMultiplier === undefined || steps === undefined)
    throw new MedleyError('USAGE', USAGE);
  return { rate, noiseMultiplier, steps };
}
