import { resolve } from 'node:path';
import type { Command } from 'commander';
import { MedleyError, printable, readText, table } from '@medley/kit';
import { parseVerifierKey } from '@medley/merkle';
import { verifyTrail, type TrailReport } from '@medley/trail';
import { downloadLog } from '../logDownload.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { readLogFolder, writeLogFolder } from '../logFolder.ts';
import { command } from './command.ts';
import { exportCommand } from './export.ts';
import { viewCommand } from './view.ts';

interface VerifyOptions extends SharedOptions {
  readonly out?: string;
  readonly from?: string;
  readonly logKey?: string;
}

/** `medley audit …`: the transparency log. */
export function auditCommands(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('check and take away the audit trail');
  command(audit, 'verify', 'derive the whole log anew and check every signature in it')
    .option('--out <folder>', 'also keep the log there, in the tlog-tiles layout')
    .option('--from <folder>', 'check a kept log instead of asking the audit service')
    .option('--log-key <file>', "the log's verifier key; without it, the home's log.vkey")
    .addHelpText(
      'after',
      `
Checked: the root of every checkpoint from the entries, the inclusion of every entry, the consistency
of every checkpoint with the next, every signature, every charter's signatures before its start, and
every round's survivor set against the roster. Exit code 8 when anything fails.

  medley audit verify --out audit/

An auditor needs no home and no network, only the kept folder and the log's key, which every charter
names and the hospitals know. Never take the key from the folder that is being checked.

  medley audit verify --from audit/ --log-key log.vkey
`,
    )
    .action(async (options: VerifyOptions) => verify(options, context));
  exportCommand(audit, context, program.version() ?? '');
  viewCommand(audit, context, program.version() ?? '');
}

async function verify(options: VerifyOptions, context: CommandContext): Promise<void> {
  const { cwd, signal } = context;
  const log = options.from
    ? await readLogFolder(resolve(cwd, options.from))
    : await downloadLog(await homeOf(context, options), signal);
  const keyText = options.logKey
    ? (await readText(resolve(cwd, options.logKey))).trim()
    : (await homeOf(context, options)).logVerifierKey;
  const verifierKey = parseVerifierKey(keyText);
  // Kept before it is judged: a log that fails is evidence.
  if (options.out) await writeLogFolder(resolve(cwd, options.out), log, keyText);
  const report = verifyTrail({ ...log, verifierKey });
  const { claims, ok } = report;
  const [entries, checkpoints] = [log.entries.length, log.checkpoints.length];
  context
    .terminal(options.json)
    .result({ verified: ok, entries, checkpoints, claims }, describe(report));
  if (ok) return;
  const failed = claims.filter((claim) => !claim.ok).map(({ name }) => name);
  const error = new MedleyError('AUDIT_FAILED', `failed: ${failed.join(', ')}`);
  // The result is written, so only people are told again.
  context.setExit(context.terminal(false).fail(error));
}

function describe({ claims }: TrailReport): string {
  const rows = claims.map(({ name, ok, checked, detail }) => [
    ok ? 'PASS' : 'FAIL',
    name,
    String(checked),
    detail,
  ]);
  return printable(table([['', 'CLAIM', 'CHECKED', 'WHAT'], ...rows]));
}
