import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readPassphrase } from '../authority.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { announceAuthority, enthroneAuthority } from '../succession.ts';
import { command } from './command.ts';

interface Options extends SharedOptions {
  readonly aggregatorHome: string;
  readonly auditHome: string;
  readonly passphraseFile?: string;
  readonly finish: boolean;
}

/** `medley consortium succeed`. */
export function successionCommand(consortium: Command, context: CommandContext): void {
  command(consortium, 'succeed', 'replace the authority before it ends')
    .option('--aggregator-home <folder>', "the aggregator's home", '.medley/aggregator')
    .option('--audit-home <folder>', "the audit service's home", '.medley/audit')
    .option('--passphrase-file <file>', "file with the authority key's passphrase")
    .option('--finish', 'let the next authority take over', false)
    .addHelpText(
      'after',
      `
In two halves. First the present authority vouches for the next one; restart both servers. Agents learn
of it with their next renewal and believe it because the key that they pinned has signed it. Wait until
every agent has renewed (a week; medley silo list shows until when certificates run). Then --finish: the
next authority certifies servers, renewal authority and this operator anew; restart both servers again.
An agent that did not renew in between must enrol anew; other operators' certificates are good until
they end. This is for an authority that ends, never for one whose key was stolen.

  medley consortium succeed --passphrase-file ca.pass
  medley consortium succeed --finish --passphrase-file ca.pass
`,
    )
    .action(async (options: Options) => {
      const home = await homeOf(context, options);
      const at = (path: string): string => resolve(context.cwd, path);
      const { clock, rng } = context;
      const parts = {
        home,
        aggregatorHome: at(options.aggregatorHome),
        auditHome: at(options.auditHome),
        passphrase: await readPassphrase(context, options.passphraseFile),
        ...{ clock, rng },
      };
      const terminal = context.terminal(options.json);
      if (options.finish) {
        await enthroneAuthority(parts);
        terminal.result({ state: 'finished' }, 'the next authority has taken over');
      } else {
        const caPin = await announceAuthority(parts);
        terminal.result({ state: 'announced', caPin }, `the next authority has the pin ${caPin}`);
      }
      terminal.say('Restart the aggregator and the audit service now.');
    });
}
