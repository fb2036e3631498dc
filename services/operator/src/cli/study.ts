import { resolve } from 'node:path';
import type { Command } from 'commander';
import { inspectModel } from '@medley/autodiff';
import { MedleyError, readBytes, sha256, table, type Terminal } from '@medley/kit';
import { toChunks, type AdminMethods, type Client, type ProposeStudyRequest } from '@medley/rpc';
import { readStudy } from '@medley/study';
import { withAdmin } from '../connection.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { openHome } from '../home.ts';
import { isOver, progressLine, studyReport, type StudyReport } from '../progress.ts';
import { command } from './command.ts';

/** `medley study …`: from a folder to a running study. */
export function studyCommands(program: Command, context: CommandContext): void {
  const study = program.command('study').description('propose, start and watch studies');
  propose(study, context);
  start(study, context);
  status(study, context);
  list(study, context);
}

function propose(study: Command, context: CommandContext): void {
  command(study, 'propose <folder>', 'send a study to the consortium for signing')
    .option('--silos <names>', 'comma-separated roster; all enrolled hospitals when left out')
    .addHelpText(
      'after',
      `
The folder holds study.yaml and the forward ONNX model that it names. Both are checked here first;
then every hospital's steward sees the same charter and signs or refuses it.

  medley study propose studies/recurrence --silos charite,sloterdijk,vienna
`,
    )
    .action(async (folder: string, options: SharedOptions & { silos?: string }) => {
      const home = await openHome(options.home);
      const file = resolve(context.cwd, folder, 'study.yaml');
      const studyFile = await readBytes(file);
      const { model: named } = readStudy(studyFile, file);
      const model = await readBytes(resolve(context.cwd, folder, named.file));
      checkOperators(model, named.file);
      const silos = options.silos?.split(',').map((name) => name.trim()) ?? [];
      const reply = await withAdmin(home, async (admin) =>
        admin.proposeStudy(proposal(studyFile, model, silos), { signal: context.signal }),
      );
      const roster = reply.roster.map(({ silo }) => silo);
      context
        .terminal(options.json)
        .result(
          { study: reply.study, charterHash: reply.charterHash, roster },
          `${reply.study} proposed to ${roster.join(', ')}\ncharter ${reply.charterHash}`,
        );
    });
}

function* proposal(
  studyFile: Uint8Array,
  model: Uint8Array,
  silos: readonly string[],
): Generator<ProposeStudyRequest> {
  const blob = { sha256: sha256(model), sizeBytes: String(model.length) };
  yield { head: { studyFile, model: blob, silos: [...silos] } };
  for (const chunk of toChunks(model)) yield { model: chunk };
}

function checkOperators(model: Uint8Array, name: string): void {
  const { unsupported } = inspectModel(model);
  if (unsupported.length === 0) return;
  const list = unsupported.map(({ node, op, reason }) => `${op} (${node}): ${reason}`).join('; ');
  throw new MedleyError('MODEL_UNSUPPORTED_OPERATOR', `${name}: ${list}`);
}

function start(study: Command, context: CommandContext): void {
  command(
    study,
    'start <name>',
    'begin the rounds of a study that every hospital has signed',
  ).action(async (name: string, options: SharedOptions) => {
    const home = await openHome(options.home);
    await withAdmin(home, async (admin) => admin.startStudy({ study: name }));
    context.terminal(options.json).result({ study: name, state: 'active' }, `${name} has started`);
  });
}

function status(study: Command, context: CommandContext): void {
  command(study, 'status <name>', 'show where a study is, and why it waits')
    .option('--watch', 'go on until the study ends; with --json one document per line', false)
    .action(async (name: string, options: SharedOptions & { watch: boolean }) => {
      const home = await openHome(options.home);
      const terminal = context.terminal(options.json);
      await withAdmin(home, async (admin) => {
        if (options.watch) await watch(admin, name, terminal, context.signal);
        else {
          const report = studyReport(await admin.getStudyStatus({ study: name }));
          terminal.result(report, describe(report));
        }
      });
    });
}

async function watch(
  admin: Client<AdminMethods>,
  name: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  let last: StudyReport | undefined;
  let shown = -1;
  for await (const update of admin.watchStudy({ study: name }, { signal })) {
    last = studyReport(update);
    if (terminal.json) terminal.line(last);
    else if (terminal.interactive) terminal.redraw(progressLine(last));
    else if (last.round !== shown) terminal.say(progressLine(last));
    shown = last.round;
    if (isOver(last)) break;
  }
  if (last && !terminal.json) terminal.result(last, describe(last));
}

function list(study: Command, context: CommandContext): void {
  command(study, 'list', 'show every study of the consortium').action(
    async (options: SharedOptions) => {
      const home = await openHome(options.home);
      const { studies } = await withAdmin(home, async (admin) => admin.listAllStudies({}));
      const rows = studies.map(
        ({ study: name, state, signed, rosterSize, round, rounds, title }) => [
          name,
          state,
          `${String(signed)} of ${String(rosterSize)}`,
          `${String(round)}/${String(rounds)}`,
          title,
        ],
      );
      const head = ['STUDY', 'STATE', 'SIGNED', 'ROUND', 'TITLE'];
      const empty = 'No study yet. Begin with: medley study propose FOLDER';
      context
        .terminal(options.json)
        .result({ studies }, rows.length === 0 ? empty : table([head, ...rows]));
    },
  );
}

function describe(report: StudyReport): string {
  const lines = [
    `${report.study}: ${report.title}`,
    `state    ${report.state}${report.waitingFor ? `, ${report.waitingFor}` : ''}`,
    `charter  ${report.charterHash}, signed by ${String(report.signed)} of ${String(report.rosterSize)}`,
  ];
  const recent = report.rounds
    .slice(-8)
    .map((round) => [
      String(round.round),
      round.kind,
      round.step,
      String(round.attempt),
      round.survivors.length === 0 ? '–' : String(round.survivors.length),
      round.dropped.join(', ') || '–',
      round.metrics?.evaluation?.auc?.toFixed(4) ?? '–',
    ]);
  if (recent.length > 0) {
    const head = ['ROUND', 'KIND', 'STEP', 'ATTEMPT', 'SURVIVORS', 'DROPPED', 'AUC'];
    lines.push('', table([head, ...recent]));
  }
  return lines.join('\n');
}
