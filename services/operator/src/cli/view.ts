import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { MedleyError, printable, readText } from '@medley/kit';
import { parseVerifierKey } from '@medley/merkle';
import { readPeriod, verifyTrail, viewLines, type ViewLine } from '@medley/trail';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import { downloadLog } from '../logDownload.ts';
import { readLogFolder } from '../logFolder.ts';
import { VIEW_FORMATS, writeView, type ViewFormat } from '../view.ts';
import { command } from './command.ts';

interface ViewOptions extends SharedOptions {
  readonly format: ViewFormat;
  readonly out: string;
  readonly from?: string;
  readonly to?: string;
  readonly study?: string;
  readonly log?: string;
  readonly logKey?: string;
}

/** `medley audit view`: the log in a form that other programs and people read. */
export function viewCommand(audit: Command, context: CommandContext, version: string): void {
  command(audit, 'view', 'write the log in a form that other programs read')
    .addOption(
      new Option('--format <format>', 'which form').choices(VIEW_FORMATS).makeOptionMandatory(),
    )
    .requiredOption('--out <file>', 'where to write it')
    .option('--from <day>', 'first day or instant shown, UTC unless it has an offset')
    .option('--to <day>', 'last day shown, or the instant at which it ends')
    .option('--study <name>', "this study's entries alone")
    .option('--log <folder>', 'read a kept log instead of asking the audit service')
    .option('--log-key <file>', "the log's verifier key; without it, the home's log.vkey")
    .addHelpText(
      'after',
      `
  fhir   AuditEvent resources of FHIR R4, one a line (NDJSON), for an audit record repository
  csv    a table for spreadsheets, with its data dictionary in FILE.dictionary.csv
  syslog messages of RFC 5424 with structured data, one a line
  cef    events of the Common Event Format, one a line

A view is no evidence: the log is. Every line names its entry by index and leaf hash. The whole log is
checked first; where that fails, the view is still written, the result says so, and the exit code is 8.

  medley audit view --format csv --from 2026-11-01 --to 2026-11-30 --out november.csv
`,
    )
    .action(async (options: ViewOptions) => view(options, context, version));
}

async function view(options: ViewOptions, context: CommandContext, version: string): Promise<void> {
  const { cwd, signal } = context;
  const { format, from, to, study } = options;
  const scope = { ...readPeriod(from, to), ...(study === undefined ? {} : { study }) };
  const log = options.log
    ? await readLogFolder(resolve(cwd, options.log))
    : await downloadLog(await homeOf(context, options), signal);
  const key = options.logKey
    ? (await readText(resolve(cwd, options.logKey))).trim()
    : (await homeOf(context, options)).logVerifierKey;
  const report = verifyTrail({ ...log, verifierKey: parseVerifierKey(key) });

  let shown = 0;
  const counted = function* (): Generator<ViewLine> {
    for (const line of viewLines(log.entries, scope)) {
      signal.throwIfAborted();
      shown++;
      yield line;
    }
  };
  const files = await writeView(format, counted(), {
    file: resolve(cwd, options.out),
    version,
  });
  const result = { format, files, entries: shown, of: log.entries.length, verified: report.ok };
  const words = `${shown} of ${log.entries.length} entries: ${files.join(', ')}`;
  context.terminal(options.json).result(result, printable(words));
  if (report.ok) return;
  const failed = report.claims.filter(({ ok }) => !ok).map(({ name }) => name);
  const error = new MedleyError('AUDIT_FAILED', `failed: ${failed.join(', ')}`);
  // The result is written, so only people are told again.
  context.setExit(context.terminal(false).fail(error));
}
