import { resolve } from 'node:path';
import type { Command } from 'commander';
import { backUp, restore, type Homes, type Manifest } from '../backup.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { command } from './command.ts';

interface Options extends SharedOptions {
  readonly aggregatorHome: string;
  readonly auditHome: string;
}

/** `medley consortium backup` and `restore`. */
export function backupCommands(consortium: Command, context: CommandContext): void {
  homes(command(consortium, 'backup <folder>', 'copy the homes of a consortium'))
    .addHelpText(
      'after',
      `
Copies the homes that are on this machine: keys, certificates, configuration, database and blobs, with
the hash of every file. Stop the aggregator first; a round that is open goes on when it starts again.
What was encrypted stays so, everything else is as secret as the homes: keep it so. The authority's
passphrase is not in it.

  medley consortium backup /mnt/backup/northsea-monday
`,
    )
    .action(async (folder: string, options: Options) => {
      const out = resolve(context.cwd, folder);
      const { clock, processes } = context;
      const manifest = await backUp({ homes: homesOf(context, options), out, clock, processes });
      report(context, options, manifest, out);
    });
  homes(command(consortium, 'restore <folder>', 'put a backup where the homes were'))
    .addHelpText(
      'after',
      `
Every file is checked before the first is written; homes that hold something are left alone. Start the
aggregator afterwards: it checks the whole log. What happened after the backup is gone, and hospitals
notice: docs/runbooks/restore.md says what then.

  medley consortium restore /mnt/backup/northsea-monday
`,
    )
    .action(async (folder: string, options: Options) => {
      const from = resolve(context.cwd, folder);
      const manifest = await restore(from, homesOf(context, options));
      report(context, options, manifest, from);
    });
}

function homes(one: Command): Command {
  return one
    .option('--aggregator-home <folder>', "the aggregator's home", '.medley/aggregator')
    .option('--audit-home <folder>', "the audit service's home", '.medley/audit');
}

function homesOf({ cwd }: CommandContext, options: Options): Homes {
  const { home, aggregatorHome, auditHome } = options;
  const at = (path: string): string => resolve(cwd, path);
  return { operator: at(home), aggregator: at(aggregatorHome), audit: at(auditHome) };
}

function report(
  context: CommandContext,
  { json }: Options,
  { at, homes: names, files }: Manifest,
  folder: string,
): void {
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  context
    .terminal(json)
    .result(
      { folder, at, homes: names, files: files.length, sizeBytes },
      `${folder}: ${names.join(', ')} as of ${at}, ${String(files.length)} files, ${String(sizeBytes)} bytes`,
    );
}
