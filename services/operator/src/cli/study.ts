import { resolve } from 'node:path';
import type { Command } from 'commander';
import { buildTraining, readModelFile } from '@medley/autodiff';
import { MedleyError, printable, readBytes, sha256, table } from '@medley/kit';
import { toChunks, type ProposeStudyRequest } from '@medley/rpc';
import {
  checkModelFit,
  clippingOfPlan,
  previewPrivacy,
  privacySentence,
  readStudy,
  tightTrainingCost,
  type Study,
} from '@medley/study';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { studyLine } from '../progress.ts';
import { command } from './command.ts';
import { statusCommand } from './status.ts';

/** `medley study …`: from a folder to a running study. */
export function studyCommands(program: Command, context: CommandContext): void {
  const study = program.command('study').description('propose, start and watch studies');
  plan(study, context);
  propose(study, context);
  start(study, context);
  course(study, context);
  statusCommand(study, context);
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
    .action(async (folder: string, options: SharedOptions & { readonly silos?: string }) => {
      const home = await homeOf(context, options);
      const file = resolve(context.cwd, folder, 'study.yaml');
      const studyFile = await readBytes(file);
      const study = readStudy(studyFile, file);
      const model = readModelFile(resolve(context.cwd, folder, study.model.file));
      const { parameterCount: modelParameters } = checkModel(model, study);
      const messages = proposal(studyFile, model, namesIn(options.silos));
      const reply = await withAdmin(home, (admin) => admin.proposeStudy(messages, context));
      const { charterHash } = reply;
      const roster = reply.roster.map(({ silo }) => silo);
      const privacy = previewPrivacy(study, { silos: roster.length, modelParameters });
      const text = `${reply.study} proposed to ${roster.join(', ')}\ncharter ${charterHash}`;
      context
        .terminal(options.json)
        .result(
          { study: reply.study, charterHash, roster, ...(privacy && { privacy }) },
          printable(privacy ? `${text}\nprivacy ${privacySentence(privacy)}` : text),
        );
    });
}

/** `plan`: what a study would cost, before anybody is asked. */
function plan(study: Command, context: CommandContext): void {
  command(
    study,
    'plan <folder>',
    'check a study and show what privacy it would cost; sends nothing',
  )
    .option('--hospitals <n>', 'size of the roster that is planned', '5')
    .addHelpText(
      'after',
      `
The same checks as propose makes, and for a study with privacy the noise and what all its rounds will
cost every hospital. Noise that would drown the model is refused with the arithmetic.

  medley study plan studies/recurrence --hospitals 12
`,
    )
    .action(async (folder: string, options: SharedOptions & { readonly hospitals: string }) => {
      const silos = Number(options.hospitals);
      if (!Number.isInteger(silos) || silos < 3 || silos > 200)
        throw new MedleyError('USAGE', '--hospitals is a whole number from 3 to 200');
      const file = resolve(context.cwd, folder, 'study.yaml');
      const study = readStudy(await readBytes(file), file);
      const model = readModelFile(resolve(context.cwd, folder, study.model.file));
      const { parameterCount } = checkModel(model, study);
      const privacy = previewPrivacy(study, { silos, modelParameters: parameterCount });
      const tight = privacy && tightTrainingCost(privacy, study);
      const facts = [
        ['study', `${study.name}: ${study.title}`],
        ['model', `${parameterCount} parameters`],
        ['rounds', `${study.rounds.count} of training`],
        ['privacy', privacy ? privacySentence(privacy) : 'none'],
        ...(tight === undefined
          ? []
          : [['', `training alone, by privacy losses (PLD): epsilon ${tight.toFixed(3)}`]]),
      ];
      context.terminal(options.json).result(
        {
          study: study.name,
          hospitals: silos,
          parameters: parameterCount,
          privacy: privacy ? { ...privacy, tightTraining: tight ?? null } : null,
        },
        printable(table(facts)),
      );
    });
}

/** Empty for everyone; a list that was given must name someone. */
function namesIn(list: string | undefined): string[] {
  if (list === undefined) return [];
  const names = list.split(',').map((name) => name.trim());
  if (names.includes('')) throw new MedleyError('USAGE', '--silos has an empty name');
  return names;
}

function* proposal(
  studyFile: Uint8Array,
  model: Uint8Array,
  silos: string[],
): Generator<ProposeStudyRequest> {
  yield { head: { studyFile, model: { sha256: sha256(model), sizeBytes: model.length }, silos } };
  for (const chunk of toChunks(model)) yield { model: chunk };
}

/** The aggregator and every hospital check the same; here it costs no connection. */
function checkModel(model: Uint8Array, study: Study): { readonly parameterCount: number } {
  const { loss, optimizer } = study.training;
  const privacy = clippingOfPlan(study);
  const { manifest } = buildTraining(model, {
    ...{ loss, optimizer, output: study.model.output },
    ...(privacy && { privacy }),
  });
  checkModelFit(study, manifest);
  return manifest;
}

function start(study: Command, context: CommandContext): void {
  command(study, 'start <name>', 'begin the rounds of a study that every hospital has signed')
    .addHelpText(
      'after',
      `
The first round opens as soon as every hospital's agent is connected.

  medley study start recurrence-5y && medley study status recurrence-5y --watch
`,
    )
    .action(async (name: string, options: SharedOptions) => {
      const home = await homeOf(context, options);
      await withAdmin(home, (admin) => admin.startStudy({ study: name }, context));
      context
        .terminal(options.json)
        .result({ study: name, state: 'active' }, `${name} has started`);
    });
}

/** `pause`, `resume` and `stop`: one call each. */
function course(study: Command, context: CommandContext): void {
  command(study, 'pause <name>', 'open no further round until the study is resumed')
    .requiredOption('--reason <text>', 'kept in the audit trail')
    .addHelpText(
      'after',
      `
A round that is open runs to its end. The charter's expiry goes on counting.

  medley study pause recurrence-5y --reason "maintenance at two hospitals"
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly reason: string }) => {
      const order = { study: name, reason: options.reason };
      const home = await homeOf(context, options);
      await withAdmin(home, (admin) => admin.pauseStudy(order, context));
      said(context, options, name, 'paused');
    });
  command(study, 'resume <name>', 'let the rounds of a paused study go on')
    .addHelpText('after', '\n  medley study resume recurrence-5y\n')
    .action(async (name: string, options: SharedOptions) => {
      const home = await homeOf(context, options);
      await withAdmin(home, (admin) => admin.resumeStudy({ study: name }, context));
      said(context, options, name, 'active');
    });
  command(study, 'stop <name>', 'end a study for good')
    .requiredOption('--reason <text>', 'kept in the audit trail')
    .addHelpText(
      'after',
      `
A round that is open is aborted, and nothing of it is revealed. The model of the last closed round can
still be exported. To begin again, propose the study under another name.

  medley study stop recurrence-5y --reason "the protocol was amended"
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly reason: string }) => {
      const order = { study: name, reason: options.reason };
      const home = await homeOf(context, options);
      await withAdmin(home, (admin) => admin.stopStudy(order, context));
      said(context, options, name, 'withdrawn');
    });
}

function said(context: CommandContext, options: SharedOptions, study: string, state: string): void {
  context.terminal(options.json).result({ study, state }, `${study} is ${state}`);
}

function list(study: Command, context: CommandContext): void {
  command(study, 'list', 'show every study of the consortium')
    .addHelpText(
      'after',
      `
States: proposed (hospitals sign), active (rounds run), paused, completed, withdrawn, expired.

  medley study list
`,
    )
    .action(async (options: SharedOptions) => {
      const home = await homeOf(context, options);
      const reply = await withAdmin(home, (admin) => admin.listAllStudies({}, context));
      const studies = reply.studies.map(studyLine);
      const head = ['STUDY', 'STATE', 'SIGNED', 'ROUND', 'TITLE'];
      const rows = studies.map((row) => [
        row.study,
        row.state,
        `${row.signed} of ${row.rosterSize}`,
        `${row.round}/${row.lastRound}`,
        row.title,
      ]);
      const empty = 'No study yet. Begin with: medley study propose FOLDER';
      const text = rows.length === 0 ? empty : table([head, ...rows]);
      context.terminal(options.json).result({ studies }, printable(text));
    });
}
