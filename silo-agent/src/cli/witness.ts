import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, table, writeDurably } from '@medley/kit';
import { parseCheckpoint } from '@medley/merkle';
import { openHome } from '../home.ts';
import { readFork, readHead } from '../witness/record.ts';
import { command, homeOf, type CommandContext, type SharedOptions } from './context.ts';

type ExportOptions = SharedOptions & { readonly out: string };

/** `medley-agent witness`: what this hospital saw of the consortium's log. */
export function witnessCommands(program: Command, context: CommandContext): Command {
  const witness = program
    .command('witness')
    .description("what this hospital vouched for as a witness of the consortium's log");
  command(
    witness,
    'show',
    'show the newest checkpoint that was cosigned, and a fork if there is one',
  )
    .addHelpText('after', '\n  medley-agent witness show --json\n')
    .action(async (options: SharedOptions) => {
      const { paths } = await openHome(homeOf(context, options));
      const head = (await readHead(paths.witness)) ?? null;
      const fork = (await readFork(paths.witness)) ?? null;
      const facts = [
        ['log', head ? parseCheckpoint(head.note).origin : 'no checkpoint seen yet'],
        ['entries', head ? String(head.size) : '–'],
        ['root', head?.root ?? '–'],
        ['history', fork ? `TWO HISTORIES: ${fork.kind}, found at ${fork.at}` : 'one'],
      ];
      context.terminal(options.json).result({ head, fork }, table(facts));
    });
  command(witness, 'export', 'copy the evidence against a log that showed two histories')
    .requiredOption('--out <file>', 'where to write it')
    .addHelpText(
      'after',
      `
Both checkpoints in the file carry the log's own signature. Of kind fork, the file convicts the log by
itself: the roots differ at one size, or the proof in it fails. Of kind rollback, that the smaller one
was shown as the newest is this hospital's word, and of kind unproven that a proof was refused. It
holds no data of patients.

  medley-agent witness export --out fork.json
`,
    )
    .action(async (options: ExportOptions) => {
      const { paths } = await openHome(homeOf(context, options));
      const fork = await readFork(paths.witness);
      if (!fork) throw new MedleyError('WITNESS_NO_FORK', 'the log has shown one history');
      const file = resolve(context.cwd, options.out);
      await writeDurably(file, `${JSON.stringify(fork, undefined, 2)}\n`);
      context.terminal(options.json).result({ file, fork }, `${file}\n`);
    });
  return witness;
}
