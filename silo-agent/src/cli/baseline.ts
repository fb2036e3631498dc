import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, table, type Terminal } from '@medley/kit';
import { openDataset } from '../connectors/dataset.ts';
import { openHome, type AgentHome } from '../home.ts';
import { studyByName, studyFromFolder, type StudyAtHand } from '../study/source.ts';
import { trainBaseline, type Baseline } from '../training/baseline.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type Options = SharedOptions & { readonly studyFolder?: string };

/** `medley-agent study baseline`: what this hospital would have reached alone. */
export function baselineCommand(study: Command, context: CommandContext): void {
  command(study, 'baseline [id]', "train on this hospital's data alone, for comparison")
    .option(
      '--study-folder <folder>',
      'a folder with study.yaml and its model, instead of a study by name',
    )
    .addHelpText(
      'after',
      `
The same model and as many steps as in the whole study, on this hospital's training patients only,
judged on its own test patients. Nothing leaves this machine.

  medley-agent study baseline recurrence-5y
`,
    )
    .action(async (id: string | undefined, options: Options) => {
      const home = await openHome(homeOf(context, options));
      if (home.site.connectors.length === 0)
        throw new MedleyError('AGENT_NO_DATA', home.paths.config);
      const { study: wanted, model } = await wantedStudy(context, home, id, options);
      const terminal = context.terminal(options.json);
      const dataset = await openDataset(home.site, wanted);
      const baseline = await trainBaseline(
        { study: wanted, modelOnnx: model, dataset, seed: `${wanted.split.seed} baseline` },
        {
          clock: context.clock,
          signal: context.interrupted,
          onProgress: ({ done, total }) =>
            terminal.redraw(`step ${String(done)} of ${String(total)}`),
        },
      );
      report(terminal, wanted.name, baseline);
    });
}

async function wantedStudy(
  context: CommandContext,
  home: AgentHome,
  id: string | undefined,
  { studyFolder }: Options,
): Promise<StudyAtHand> {
  if ((id === undefined) === (studyFolder === undefined)) {
    throw new MedleyError('USAGE', 'name either a study or --study-folder');
  }
  return studyFolder === undefined
    ? studyByName(home, id ?? '', context.clock, context.interrupted)
    : studyFromFolder(resolve(context.cwd, studyFolder));
}

function report(terminal: Terminal, study: string, baseline: Baseline): void {
  const figure = (value: number | null): string => value?.toFixed(3) ?? '–';
  const rows = Object.entries(baseline.perSource).map(([source, { train, test, auc, brier }]) => [
    ...[source, String(train), String(test), figure(auc), figure(brier)],
  ]);
  terminal.result(
    { study, ...baseline },
    table([['SOURCE', 'TRAIN', 'TEST', 'AUC', 'BRIER'], ...rows]),
  );
}
