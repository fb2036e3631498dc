import type { Command } from 'commander';
import { printable, table, type Terminal } from '@medley/kit';
import { withAdmin } from '../connection.ts';
import { homeOf, type CommandContext, type SharedOptions } from '../context.ts';
import type { OperatorHome } from '../home.ts';
import { progressLine, studyReport, type PrivacyReport, type StudyReport } from '../progress.ts';
import { watchStudy } from '../watch.ts';
import { command } from './command.ts';

/** Attempts that people see; `--json` has all. */
const SHOWN_ROUNDS = 8;

/** `medley study status`. */
export function statusCommand(study: Command, context: CommandContext): void {
  command(study, 'status <name>', 'show where a study is, and why it waits')
    .option('--watch', 'go on until the study ends; with --json one document a line', false)
    .addHelpText(
      'after',
      `
A study that waits says for whom. Watching survives restarts of the aggregator and short losses of
the network; Ctrl-C ends it and changes nothing.

  medley study status recurrence-5y
  medley study status recurrence-5y --watch
`,
    )
    .action(async (name: string, options: SharedOptions & { readonly watch: boolean }) => {
      const home = await homeOf(context, options);
      const terminal = context.terminal(options.json);
      if (options.watch) return watch(home, name, terminal, context);
      const reply = await withAdmin(home, (admin) =>
        admin.getStudyStatus({ study: name }, context),
      );
      const report = studyReport(reply);
      terminal.result(report, describe(report));
    });
}

async function watch(
  home: OperatorHome,
  study: string,
  terminal: Terminal,
  context: CommandContext,
): Promise<void> {
  const { clock, signal } = context;
  const onLost = ({ message }: Error, pauseMs: number): void =>
    terminal.say(printable(`connection lost, next try in ${pauseMs / 1000} s (${message})`));
  let last: StudyReport | undefined;
  try {
    for await (const report of watchStudy({ home, study, clock, signal, onLost })) {
      if (terminal.json) terminal.line(report);
      else show(report, last, terminal);
      last = report;
    }
  } catch (caught) {
    if (!terminal.json) throw caught;
    // Standard output holds a document a line, so only people are told.
    context.setExit(context.terminal(false).fail(caught));
    return;
  }
  if (last && !terminal.json) terminal.result(last, describe(last));
}

/** Every change where the line can be redrawn; where it cannot, only what a log should keep. */
function show(report: StudyReport, last: StudyReport | undefined, terminal: Terminal): void {
  const line = progressLine(report);
  const isNews = report.round !== last?.round || report.state !== last.state;
  if (terminal.interactive) terminal.redraw(line);
  else if (isNews) terminal.say(line);
}

function describe(report: StudyReport): string {
  const { study, title, state, waitingFor, charterHash, signed, rosterSize } = report;
  const lines = [
    `${study}: ${title}`,
    `state    ${state}${waitingFor ? ` (${waitingFor})` : ''}`,
    `charter  ${charterHash}, signed by ${signed} of ${rosterSize}`,
  ];
  if (report.privacy) lines.push(...privacyLines(report.privacy));
  const recent = report.rounds
    .slice(-SHOWN_ROUNDS)
    .map((round) => [
      String(round.round),
      round.kind,
      round.abortCode ? `${round.step} (${round.abortCode})` : round.step,
      String(round.attempt),
      round.survivors.length === 0 ? '–' : String(round.survivors.length),
      round.dropped.join(', ') || '–',
      round.metrics?.evaluation?.auc?.toFixed(4) ?? '–',
    ]);
  if (recent.length > 0) {
    const head = ['ROUND', 'KIND', 'STEP', 'ATTEMPT', 'SURVIVORS', 'DROPPED', 'AUC'];
    lines.push('', table([head, ...recent]));
  }
  return printable(lines.join('\n'));
}

function privacyLines(privacy: PrivacyReport): readonly string[] {
  const { unit, limit, delta, planned, accountant, spent } = privacy;
  const per = `epsilon ${limit} at delta ${delta} for each ${unit}, ${accountant}`;
  return [
    `privacy  ${per}; all rounds will take ${planned.toFixed(3)}`,
    ...spent.map(
      ({ silo, epsilon }) => `         ${silo}: spent ${epsilon.toFixed(3)} of ${limit}`,
    ),
  ];
}
