import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Document } from 'yaml';
import { bundlesFor, entriesPath, parseBundle, parseCheckpoint } from '@medley/merkle';
import { agentHome, operatorHome, type Box } from './box.ts';
import { ownEvaluation } from './compare.ts';
import { mean, type PrivacyFigures } from './figures.ts';
import type { PrivacyTarget } from './options.ts';
import { proposeStudy } from './propose.ts';
import type { BudgetReport, StudyReport } from './status.ts';

/** Rounds of the private study unless `--rounds` says otherwise: noise is paid for round by round. */
const ROUNDS = 10;

/** Makes the demo's study a private one: DP-SGD of each patient, with settings that suit its size. */
export function makePrivate(study: Document, { epsilon, delta }: PrivacyTarget): void {
  if (study.getIn(['rounds', 'count']) !== undefined) study.setIn(['rounds', 'count'], ROUNDS);
  const training = {
    loss: 'bce_with_logits',
    optimizer: { kind: 'sgd', momentum: 0 },
    learningRate: 1,
    batchSize: 48,
    localSteps: 10,
    standardise: true,
  };
  study.set('training', study.createNode(training));
  study.setIn(['evaluation', 'scoreBins'], 20);
  const privacy = { level: 'record', epsilon, delta, clipNorm: 0.5, samplingRate: 0.1 };
  study.set('privacy', study.createNode(privacy));
}

/** The study as its file says, on the same split: what privacy costs in accuracy is the difference. */
export function makeTwin(study: Document): void {
  study.set('name', `${String(study.get('name'))}-plain`);
  study.setIn(['split', 'method'], 'hash');
}

/**
 * The same study without noise: proposed, signed and run to its end by the same agents. The mean AUC
 * of its model on the hospitals' own test patients, the same ones as in the private study.
 */
export async function runTwin(
  box: Box,
  onProgress: (report: StudyReport) => void,
): Promise<number> {
  const { study } = await proposeStudy(box, { folder: 'study-plain', edit: makeTwin });
  const operator = ['--home', operatorHome(box)];
  await box.programs.call('medley', 'study', 'start', study.name, ...operator);
  for await (const report of box.programs.follow<StudyReport>(
    'medley',
    ...['study', 'status', study.name, '--watch', ...operator],
  ))
    onProgress(report);
  const aucs: number[] = [];
  for (const silo of box.source.silos)
    aucs.push((await ownEvaluation(box, silo, study.name)).auc ?? NaN);
  return mean(aucs);
}

/** What the private study promised, what each hospital's own ledger says it spent, and the proof. */
export async function privacyFigures(
  box: Box,
  report: StudyReport,
  auc: PrivacyFigures['auc'],
): Promise<PrivacyFigures> {
  const { privacy, study } = report;
  if (!privacy) throw new Error('the private study states its privacy');
  const { unit, adjacency, accountant, limit, delta, planned } = privacy;
  const spent: { silo: string; epsilon: number; siteLimit: number }[] = [];
  for (const silo of box.source.silos) {
    const budget = await box.programs.call<BudgetReport>(
      'medley-agent',
      ...['budget', '--home', agentHome(box, silo)],
    );
    const stated = privacy.spent.find((one) => one.silo === silo.name)?.epsilon ?? 0;
    spent.push({ silo: silo.name, epsilon: stated, siteLimit: budget.limit.epsilon });
  }
  const leaf = await newestStatement(join(box.out, 'audit'));
  return { study, unit, adjacency, accountant, limit, delta, planned, spent, auc, leaf };
}

/** The newest statement in the log: what an auditor reads of it. */
async function newestStatement(audit: string): Promise<PrivacyFigures['leaf']> {
  const { size } = parseCheckpoint(await readFile(join(audit, 'checkpoint'), 'utf8'));
  let index = -1;
  let found: PrivacyFigures['leaf'] | undefined;
  for (const bundle of bundlesFor(size)) {
    const bytes = new Uint8Array(await readFile(join(audit, entriesPath(bundle))));
    for (const leaf of parseBundle(bytes, bundle.width)) {
      index += 1;
      const event = JSON.parse(new TextDecoder().decode(leaf)) as {
        readonly type: string;
        readonly data: { readonly statement: string };
      };
      if (event.type !== 'privacy.spent') continue;
      const statement = Buffer.from(event.data.statement, 'base64').toString('utf8');
      found = { index, statement: JSON.parse(statement) as PrivacyFigures['leaf']['statement'] };
    }
  }
  if (!found) throw new Error('the log of a private study has statements');
  return found;
}

/** What the demo prints of it. */
export function privacyLines(figures: PrivacyFigures): readonly string[] {
  const { unit, adjacency, accountant, limit, delta, planned, spent, auc, leaf } = figures;
  const each = spent.map(({ silo, epsilon }) => `${silo} ${epsilon.toFixed(3)}`).join(', ');
  const { round, silo, mechanism } = leaf.statement as {
    readonly round: number;
    readonly silo: string;
    readonly mechanism: { readonly kind: string };
  };
  return [
    `Differential privacy: epsilon ${String(limit)} at delta ${String(delta)} for each ${unit} of each hospital (${adjacency}, ${accountant}); planned ${planned.toFixed(3)}.`,
    `Spent, by each hospital's own ledger: ${each}.`,
    `Mean AUC with it ${auc.with.toFixed(3)}, without ${auc.without.toFixed(3)}.`,
    `Audit leaf ${String(leaf.index)}: privacy.spent, round ${String(round)}, ${silo}, ${mechanism.kind}, epsilon ${Number(leaf.statement['epsilon']).toFixed(3)}, signed by the hospital.`,
  ];
}
