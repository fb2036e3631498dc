import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { table, writeDurably } from '@medley/kit';
import { operatorHome, type Box } from './box.ts';
import { compareModels } from './compare.ts';
import { enrolSilos } from './enrol.ts';
import { exportAudit, exportTrained, lookIntoAggregator } from './evidence.ts';
import type { DemoFigures, RoundFigures } from './figures.ts';
import { foundConsortium } from './found.ts';
import { makePrivate, privacyFigures, runTwin } from './private.ts';
import { proposeStudy } from './propose.ts';
import { reportPage } from './report/page.ts';
import { runRounds } from './rounds.ts';
import type { RoundReport, StudyReport } from './status.ts';

/** With `--dp` one more: the same study without it. */
const STEPS = 9;

/** The whole demo. The processes it started run on when it returns; `Programs` ends them. */
export async function runDemo(box: Box): Promise<DemoFigures> {
  const begin = box.clock.nowMs();
  await rm(box.work, { recursive: true, force: true });
  await mkdir(join(box.work, 'logs'), { recursive: true, mode: 0o700 });
  await rm(box.out, { recursive: true, force: true });
  const step = stepper(box);
  const { silos } = box.source;

  const servers = await step(
    'the operator founds a consortium and starts the aggregator',
    async () => foundConsortium(box),
  );
  await step(`${String(silos.length)} hospitals enrol with keys of their own`, async () =>
    enrolSilos(box, servers.passphraseFile),
  );
  const { study, folder } = await step('a study is proposed and every steward signs it', async () =>
    proposeStudy(box, variantOf(box)),
  );
  const rounds = await step(
    'masked sums: feature statistics, training rounds, evaluation',
    async (progress) => runRounds(box, study, (report) => progress(roundLine(report))),
  );
  box.terminal.say(dropoutLine(rounds.dropout));
  const compared = await step(
    'every hospital alone, and all files pooled, for comparison',
    async () => compareModels(box, { name: study.name, folder }),
  );
  const without = box.privacy
    ? await step('the same study without noise, for comparison', async (progress) =>
        runTwin(box, (report) => progress(roundLine(report))),
      )
    : undefined;
  const { audit, bundle } = await step(
    'the audit trail is exported, and every claim in it checked offline',
    async () => exportAudit(box),
  );
  const saw = await step('what the aggregator holds of the hospitals', async () =>
    lookIntoAggregator(box, study),
  );
  const exported = await step('the trained model is exported', async () =>
    exportTrained(box, study.name),
  );
  const figures: DemoFigures = {
    schemaVersion: 1,
    study: study.title,
    ...compared,
    rounds: closedRounds(rounds.report),
    dropout: rounds.dropout,
    aggregatorSaw: saw,
    audit,
    bundle,
    model: { file: 'model.onnx', parameters: exported.parameters },
    privacy:
      without === undefined
        ? null
        : await privacyFigures(box, rounds.report, {
            with: compared.mean.auc.federated,
            without,
          }),
    seconds: (box.clock.nowMs() - begin) / 1000,
  };
  await step('the report is written', async () =>
    writeDurably(join(box.out, 'index.html'), reportPage(figures), { mode: 0o644 }),
  );
  return figures;
}

function variantOf(box: Box): Parameters<typeof proposeStudy>[1] {
  const { privacy } = box;
  if (!privacy) return undefined;
  return { folder: 'study', edit: (study) => makePrivate(study, privacy) };
}

/** Prints a line a step: its number, what it did, how long it took. */
function stepper(
  box: Box,
): <T>(title: string, work: (progress: (line: string) => void) => Promise<T>) => Promise<T> {
  let number = 0;
  const { terminal, clock } = box;
  return async (title, work) => {
    number += 1;
    const head = `${String(number)}/${String(STEPS + (box.privacy ? 1 : 0))}`;
    const start = clock.nowMs();
    terminal.redraw(`${terminal.paint.dim(head)} … ${title}`);
    const result = await work((line) => terminal.redraw(`${terminal.paint.dim(head)} … ${line}`));
    const seconds = ((clock.nowMs() - start) / 1000).toFixed(1);
    const { dim, green } = terminal.paint;
    terminal.say(`${dim(head)} ${green('✔')} ${title} ${dim(`${seconds} s`)}`);
    return result;
  };
}

function roundLine(report: StudyReport): string {
  const open = report.rounds.find(({ step }) => step !== 'closed' && step !== 'aborted');
  const auc = report.rounds.findLast(({ metrics }) => metrics?.evaluation?.auc != null)?.metrics
    ?.evaluation?.auc;
  const round = `round ${String(open?.round ?? report.round)} of ${String(report.lastRound)}`;
  return `${round}, ${open?.step ?? report.state}${auc == null ? '' : `, federated AUC ${auc.toFixed(3)}`}`;
}

function dropoutLine(dropout: DemoFigures['dropout']): string {
  if (!dropout) return '      no agent was killed';
  const { silo, killedInRound, restartedInRound, backInRound } = dropout;
  const restarted =
    restartedInRound === null
      ? 'not started again'
      : `started again in round ${String(restartedInRound)}`;
  const back = backInRound === null ? '' : `, in the sum again from round ${String(backInRound)}`;
  return `      agent of ${silo} killed in round ${String(killedInRound)} after R1: the round closed without it; ${restarted}${back}`;
}

function closedRounds(report: StudyReport): RoundFigures[] {
  return report.rounds.filter(({ step }) => step === 'closed').map(roundFigures);
}

function roundFigures(round: RoundReport): RoundFigures {
  const { openedMs } = round;
  return {
    round: round.round,
    kind: round.kind,
    attempt: round.attempt,
    seconds: ((round.closedMs ?? openedMs) - openedMs) / 1000,
    bytesUp: round.bytesUp,
    bytesDown: round.bytesDown,
    sharers: round.sharers,
    survivors: round.survivors,
    dropped: round.dropped,
    steps: round.steps.map(({ step, atMs }) => ({ step, atMs: atMs - openedMs })),
    auc: round.metrics?.evaluation?.auc ?? null,
    loss: round.metrics?.evaluation?.loss ?? null,
  };
}

/** The table that the demo ends with. */
export function figuresTable(figures: DemoFigures): string {
  const line = (name: string, cells: readonly (string | number)[]): string[] => [
    name,
    ...cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(3) : cell)),
  ];
  const rows = figures.silos.map(({ title, train, test, auc, brier }) =>
    line(title, [String(train), String(test), auc.local, auc.federated, auc.pooled, brier]),
  );
  const { auc, brier } = figures.mean;
  return table([
    ['HOSPITAL', 'TRAIN', 'TEST', 'AUC LOCAL', 'AUC FEDERATED', 'AUC POOLED', 'BRIER'],
    ...rows,
    line('mean', ['', '', auc.local, auc.federated, auc.pooled, brier]),
  ]);
}

/** How to talk to a consortium that `--keep` left running. */
export function keepHint(box: Box): string {
  const bin = (file: string): string => `node ${file}`;
  return [
    'The consortium is running. In another terminal, in this folder:',
    `  ${bin('services/operator/bin/medley.js')} silo list --home ${operatorHome(box)}`,
    `  ${bin('services/operator/bin/medley.js')} study list --home ${operatorHome(box)}`,
    `  ${bin('silo-agent/bin/medley-agent.js')} status --home ${join(box.work, 'silos', box.source.silos[0]?.name ?? '')}`,
    'Ctrl-C ends it.',
  ].join('\n');
}
