import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, MedleyError, table } from '@medley/kit';
import type { Study } from '@medley/study';
import { checkData, reportText } from '../connectors/check.ts';
import { openConnectors } from '../connectors/site.ts';
import { openHome, type AgentHome } from '../home.ts';
import { studyByName, studyFromFile } from '../study/source.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type Options = SharedOptions & { readonly study?: string; readonly studyFile?: string };

/** `medley-agent data …`: what this hospital's sources hold; nothing of it leaves. */
export function dataCommands(
  program: Command,
  context: CommandContext,
  setExit: (code: number) => void,
): void {
  const data = program.command('data').description("look at this hospital's own data sources");
  command(data, 'check', 'read the configured sources and say whether they fit a study')
    .option('--study <id>', 'a study that was offered to this hospital')
    .option('--study-file <file>', 'a study.yaml at hand')
    .addHelpText(
      'after',
      `
Every fault is named with file, line, column and the rule that is broken, never with a value. Without a
study the sources are only opened and their columns listed. Nothing leaves this machine.

  medley-agent data check
  medley-agent data check --study recurrence-5y
  medley-agent data check --study-file ./study.yaml
`,
    )
    .action(async (options: Options) => {
      const home = await openHome(homeOf(context, options));
      if (home.site.connectors.length === 0)
        throw new MedleyError('AGENT_NO_DATA', home.paths.config);
      const terminal = context.terminal(options.json);
      const study = await wantedStudy(context, home, options);
      if (!study) {
        const sources = await describeSources(home);
        const rows = sources.map(({ id, source, columns }) => [id, source, columns.join(', ')]);
        terminal.result({ sources }, table([['SOURCE', 'FILE', 'COLUMNS'], ...rows]));
        return;
      }
      const report = await checkData(home.site, study);
      terminal.result(report, reportText(report));
      if (!report.isUsable) setExit(EXIT.data);
    });
}

async function describeSources(home: AgentHome) {
  const sources = [];
  for (const connector of openConnectors(home.site)) {
    try {
      sources.push(await connector.describe());
    } finally {
      await connector.close();
    }
  }
  return sources;
}

async function wantedStudy(
  context: CommandContext,
  home: AgentHome,
  { study, studyFile }: Options,
): Promise<Study | undefined> {
  if (study !== undefined && studyFile !== undefined) {
    throw new MedleyError('USAGE', '--study and --study-file exclude each other');
  }
  if (studyFile !== undefined) return studyFromFile(resolve(context.cwd, studyFile));
  if (study === undefined) return undefined;
  return (await studyByName(home, study, context.clock, context.interrupted)).study;
}
