import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, table } from '@medley/kit';
import { parseVerifierKey } from '@medley/merkle';
import { verifyTrail } from '@medley/trail';
import { withAudit } from '../connection.ts';
import type { CommandContext, SharedOptions } from '../context.ts';
import { openHome, type OperatorHome } from '../home.ts';
import { readLogFolder, writeLogFolder, type DownloadedLog } from '../logFolder.ts';
import { command } from './command.ts';

/** `medley audit …`: the transparency log. */
export function auditCommands(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('check and take away the audit trail');
  command(audit, 'verify', 'derive the whole log anew and check every signature in it')
    .option('--out <folder>', 'also keep the log there, in the tlog-tiles layout')
    .option('--from <folder>', 'check a kept log instead of asking the audit service')
    .addHelpText(
      'after',
      `
Checked: the root of every checkpoint from the entries, the inclusion of every entry, the consistency
of every checkpoint with the next, every signature, every charter's signatures before its start, and
every round's survivor set against the roster. Exit code 8 when anything fails.

  medley audit verify --out audit/
  medley audit verify --from audit/
`,
    )
    .action(async (options: SharedOptions & { out?: string; from?: string }) => {
      const home = await openHome(options.home);
      const log = options.from
        ? await readLogFolder(resolve(context.cwd, options.from))
        : await download(home, context.signal);
      if (options.out) {
        await writeLogFolder(resolve(context.cwd, options.out), log, home.logVerifierKey);
      }
      const result = verifyTrail({
        entries: log.entries,
        checkpoints: log.checkpoints,
        verifierKey: parseVerifierKey(home.logVerifierKey),
      });
      const terminal = context.terminal(options.json);
      const rows = result.claims.map(({ name, ok, checked, detail }) => [
        ok ? 'PASS' : 'FAIL',
        name,
        String(checked),
        detail,
      ]);
      terminal.result(
        {
          verified: result.ok,
          entries: log.entries.length,
          checkpoints: log.checkpoints.length,
          claims: result.claims,
        },
        table([['', 'CLAIM', 'CHECKED', ''], ...rows]),
      );
      if (!result.ok) {
        const failed = result.claims.filter(({ ok }) => !ok).map(({ name }) => name);
        throw new MedleyError('AUDIT_FAILED', `failed: ${failed.join('; ')}`);
      }
    });
}

async function download(home: OperatorHome, signal: AbortSignal): Promise<DownloadedLog> {
  return withAudit(home, async (audit) => {
    const checkpoints: string[] = [];
    for await (const { note } of audit.listCheckpoints({}, { signal })) checkpoints.push(note);
    const entries: Uint8Array[] = [];
    const last = await audit.getCheckpoint({});
    const range = { from: '0', to: last.treeSize };
    for await (const { leaf } of audit.listEntries(range, { signal })) entries.push(leaf);
    if (checkpoints.at(-1) !== last.note) checkpoints.push(last.note);
    return { entries, checkpoints };
  });
}
