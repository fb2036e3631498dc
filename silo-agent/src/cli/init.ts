import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { MedleyError, writeDurably } from '@medley/kit';
import { isName } from '@medley/pki';
import { configTemplate } from '../config.ts';
import { homePaths } from '../home.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

/** `medley-agent init`: makes the folder and its commented agent.yaml. */
export function initCommand(program: Command, context: CommandContext): void {
  command(program, 'init', "make this hospital's folder with a commented agent.yaml")
    .requiredOption('--site <id>', 'the name under which the operator invites this hospital')
    .requiredOption('--name <name>', "the hospital's name for people")
    .addHelpText(
      'after',
      `
Nothing leaves this machine yet. Next: say in agent.yaml where the data are, then enrol.

  medley-agent init --site charite --name "Charité Berlin"
`,
    )
    .action(async (options: SharedOptions & { site: string; name: string }) => {
      const folder = homeOf(context, options);
      const paths = homePaths(folder);
      if (!isName(options.site)) {
        throw new MedleyError(
          'PKI_NAME_INVALID',
          `--site ${JSON.stringify(options.site.slice(0, 80))}`,
        );
      }
      if (await isThere(paths.config)) throw new MedleyError('AGENT_HOME_EXISTS', paths.config);
      await writeDurably(paths.config, configTemplate(options.site, options.name));
      const terminal = context.terminal(options.json);
      terminal.result({ home: folder, site: options.site, config: paths.config }, paths.config);
      terminal.say(`Next: add your data to ${paths.config}, then`);
      terminal.say(
        `  ${terminal.paint.bold('medley-agent enroll')} ${terminal.paint.dim('<token from the operator>')}`,
      );
    });
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
