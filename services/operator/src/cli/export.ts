import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, printable } from '@medley/kit';
import { withAdmin, withAudit } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { fillBundle, type ExportReport } from '../export/bundle.ts';
import { BundleFolder } from '../export/folder.ts';
import { beginningOf, endOf } from '../export/period.ts';
import { command, wholeNumber } from './command.ts';

interface ExportOptions extends SharedOptions {
  readonly out: string;
  readonly from?: string;
  readonly to?: string;
  readonly study?: string;
  readonly silo?: string;
  readonly recipient?: string;
  readonly views?: string;
  readonly wait: number;
  readonly force: boolean;
}

/** `medley audit export`. */
export function exportCommand(audit: Command, context: CommandContext, version: string): void {
  command(audit, 'export', 'write a bundle that an auditor can check without this consortium')
    .requiredOption('--out <folder>', 'the folder to make, or a file whose name ends in .zip')
    .option(
      '--from <time>',
      'beginning of the period: a day (UTC) or a time; default the first',
      beginningOf,
    )
    .option('--to <time>', 'end of the period; a day counts as a whole; default the newest', endOf)
    .option('--study <name>', 'one study alone')
    .option('--silo <name>', 'one hospital alone, with the studies that it takes part in')
    .option('--recipient <text>', 'who receives it; the log keeps that. Default: this operator')
    .option('--views <folder>', 'derived files to add under views/')
    .option(
      '--wait <seconds>',
      'how long to wait until enough hospitals vouch for the newest entries',
      wholeNumber(0, 3600),
      10,
    )
    .option('--force', 'replace a bundle that is there', false)
    .addHelpText(
      'after',
      `
The bundle holds the entries asked for, those needed to check them, and of all others the hash, so
that nothing can be left out unseen; keys, charters with signatures, receipts of rounds, and
verify.mjs, which checks it all with Node alone. The export is an entry of the log itself, and the
proof of that is in the bundle. It takes the role operator, auditor or admin. How to read it:
docs/audit/README.md.

  medley audit export --out october --from 2026-10-01 --to 2026-10-31 --recipient "data protection"
  node october/verify.mjs october --log-key log.vkey
`,
    )
    .action(async (options: ExportOptions) => run(options, context, version));
}

async function run(
  options: ExportOptions,
  context: CommandContext,
  version: string,
): Promise<void> {
  const { cwd, clock, rng, signal } = context;
  const terminal = context.terminal(options.json);
  const { from = null, to = null, study = null, silo = null, views } = options;
  if (from !== null && to !== null && from > to) {
    throw new MedleyError('AUDIT_RANGE', `the period ends (${to}) before it begins (${from})`);
  }
  const home = await homeOf(context, options);
  const target = resolve(cwd, options.out);
  const folder = await BundleFolder.begin(target, options.force, rng);
  try {
    const order = {
      scope: { from, to, study, silo },
      recipient: options.recipient ?? home.config.operator,
      waitMs: options.wait * 1000,
    };
    const report = await withAudit(home, (audit) =>
      withAdmin(home, (admin) =>
        fillBundle(folder, order, {
          ...{ home, audit, admin, clock, rng, signal, version },
          viewsFolder: views === undefined ? null : resolve(cwd, views),
          progress: (line) => terminal.redraw(line),
        }),
      ),
    );
    signal.throwIfAborted();
    if (target.endsWith('.zip')) await folder.publishZip(signal);
    else await folder.publish();
    terminal.result({ out: target, ...report }, describe(target, report));
    for (const gap of report.gaps) terminal.say(printable(`not in it: ${gap}`));
  } finally {
    await folder.discard();
  }
}

function describe(
  target: string,
  { scope, entries, files, entry, manifestHash }: ExportReport,
): string {
  const { delivered, inScope, withheld } = entries;
  return printable(
    [
      `${target}: ${files} files`,
      `entries   ${inScope} of the period (${scope.first} to ${scope.end}), ${delivered - inScope} more to check them, ${withheld} as hashes alone`,
      `manifest  ${manifestHash}, recorded as entry ${entry} of the log`,
      `check it  node verify.mjs ${target}`,
    ].join('\n'),
  );
}
