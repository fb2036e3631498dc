import type { Command } from 'commander';
import { MedleyError, printable, toHex } from '@medley/kit';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { command } from './command.ts';

/** `medley round …`: single rounds after their end. */
export function roundCommands(program: Command, context: CommandContext): void {
  const round = program.command('round').description('look at single rounds');
  command(round, 'replay <study> <round>', 'compute a closed round again and compare every byte')
    .addHelpText(
      'after',
      `
The aggregator computes the round a second time from the messages and masked vectors that it stored, and
compares receipt, sum, next model and metrics with what the audit trail has. It can do so only for rounds
that closed while keepMaskedVectors was set in its aggregator.yaml. Nothing of the vectors is shown.
Exit code 8 when a byte differs.

  medley round replay recurrence-5y 7
`,
    )
    .action(async (study: string, number: string, options: SharedOptions) => {
      if (!/^\d{1,9}$/.test(number)) throw new MedleyError('USAGE', 'ROUND is a whole number');
      const home = await homeOf(context, options);
      const { signal } = context;
      const reply = await withAdmin(home, (admin) =>
        admin.replayRound({ study, round: Number(number) }, { signal }),
      );
      const { round, attempt, survivors } = reply;
      const document = {
        ...{ study, round, attempt, survivors },
        aggregateHash: toHex(reply.aggregate?.sha256 ?? new Uint8Array()),
        nextModelHash: toHex(reply.nextModel?.sha256 ?? new Uint8Array()),
        receiptHash: toHex(reply.receiptHash),
        leafIndex: Number(reply.leafIndex),
      };
      const text = [
        `round ${round}, attempt ${attempt} of ${study}: the same bytes again from ${survivors} masked vectors`,
        `sum        ${document.aggregateHash}`,
        `next model ${document.nextModelHash}`,
        `receipt    ${document.receiptHash}, leaf ${document.leafIndex} of the audit trail`,
      ].join('\n');
      context.terminal(options.json).result(document, printable(text));
    });
}
