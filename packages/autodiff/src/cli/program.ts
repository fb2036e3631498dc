import { resolve } from 'node:path';
import { Command } from 'commander';
import { EXIT, readText, writeDurably, type Clock, type Terminal } from '@medley/kit';
import { exportModel } from '../export.ts';
import { readModelFile } from '../file/external.ts';
import { trainingReport } from '../report/report.ts';
import { reportText } from '../report/text.ts';
import { addOptions, clipOf, optimizerOf, type TrainFlags } from './options.ts';
import { bar, plot } from './plot.ts';
import { readTable, type Wanted } from './table.ts';
import { trainOnTable, type Trained } from './train.ts';

/** What the program gets from main.ts, and nothing else of the process. */
export interface TrainContext {
  terminal(json: boolean): Terminal;
  readonly clock: Clock;
  /** Aborted by the first Ctrl-C. */
  readonly interrupted: AbortSignal;
  /** Base of relative paths. */
  readonly cwd: string;
  readonly version: string;
}

const EXAMPLES = `
Trains any forward ONNX model on this machine and saves it with its new weights. Nothing is sent
anywhere; no Python is needed.

  Does this patient have the disease? (a model with one logit; 0 or 1 in the last column)
    medley-train model.onnx --data patients.csv --loss bce_with_logits --standardize

  One of several classes, numbered from 0 in the column "grade":
    medley-train model.onnx --data tumours.csv --target grade --loss cross_entropy --epochs 50

  A number, with some of the columns, stopped when the validation gets no better:
    medley-train model.onnx --data stays.csv --target days --features age,bmi,crp \\
      --loss huber --optimizer adamw --patience 5 --out days.onnx

  Is it possible at all, and what will a step cost?
    medley-train model.onnx --data patients.csv --loss bce_with_logits --report

Ctrl-C stops after the step that runs and saves what is learned so far; with --resume FILE the same
command later goes on where it stopped, with the same bits as if it never had.

Exit codes: 0 ok, 2 usage, 3 a setting that is not possible, 6 model or data, 130 interrupted.
Results go to standard output, progress to standard error; --json makes the result one document.`;

/** The command line of `medley-train`. `setExit` takes an exit code that is no error's. */
export function trainProgram(context: TrainContext, setExit: (code: number) => void): Command {
  const program = new Command('medley-train')
    .description('Trains an ONNX model on a table.')
    .argument('<model.onnx>', 'the forward model, as any tool exports it')
    .version(context.version)
    .showSuggestionAfterError()
    .exitOverride();
  return addOptions(program)
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, flags: TrainFlags) => {
      const path = (name: string): string => resolve(context.cwd, name);
      const terminal = context.terminal(flags.json);
      const model = readModelFile(path(file));
      const { batchNorm } = flags;
      const optimizer = optimizerOf(flags);
      const report = trainingReport(
        model,
        { optimizer, batchNorm, ...clipOf(flags) },
        { batchSize: flags.batch },
      );
      if (flags.report) {
        terminal.result(report, reportText(report));
        return;
      }
      if (report.unsupported.length === 0) terminal.say(`${reportText(report)}\n`);
      const table = readTable(await readText(path(flags.data)), (columns) =>
        chosen(columns, flags),
      );
      const resume = flags.resume === undefined ? {} : { resume: path(flags.resume) };
      const trained = await trainOnTable(
        model,
        table,
        { ...flags, ...resume },
        {
          clock: context.clock,
          signal: context.interrupted,
          ...progress(terminal, flags, table.rows),
        },
      );
      const out = path(flags.out ?? `${file.replace(/\.onnx$/i, '')}.trained.onnx`);
      const input = report.inputs[0]?.name ?? '';
      const standardise = trained.scaling && { ...trained.scaling, input };
      const options = { batchNorm, ...(standardise && { standardise }) };
      await writeDurably(out, exportModel(model, trained.parameters, options));
      finish(terminal, trained, out, flags);
      if (!trained.isComplete) setExit(EXIT.interrupted);
    });
}

function chosen(columns: readonly string[], flags: TrainFlags): Wanted {
  const targets = flags.target ?? columns.slice(-1);
  return { targets, features: flags.features ?? columns.filter((name) => !targets.includes(name)) };
}

/** A bar redrawn for people, and a line for each epoch. */
function progress(terminal: Terminal, flags: TrainFlags, rows: number) {
  const perEpoch = Math.ceil((rows - Math.floor(flags.validation * rows)) / flags.batch);
  return {
    onProgress: ({ steps, loss }: { steps: number; loss: number }) =>
      terminal.redraw(`${bar(steps, perEpoch * flags.epochs)} steps   loss ${loss.toPrecision(4)}`),
    onFigures: ({ epoch, loss, validation }: Trained['epochs'][number]) => {
      const judged = validation === undefined ? '' : `   validation ${validation.toPrecision(5)}`;
      terminal.say(`epoch ${epoch}/${flags.epochs}   loss ${loss.toPrecision(5)}${judged}`);
    },
  };
}

function finish(terminal: Terminal, trained: Trained, out: string, flags: TrainFlags): void {
  const { epochs, isComplete, rows, steps } = trained;
  const curves = [
    { mark: '●', label: 'training loss', values: epochs.map(({ loss }) => loss) },
    {
      mark: '○',
      label: 'validation loss',
      values: epochs.flatMap(({ validation }) => validation ?? []),
    },
  ].filter(({ values }) => values.length > 0);
  const drawn = plot(curves);
  if (drawn !== '') terminal.say(`\n${drawn}\n`);
  if (!isComplete) {
    const later =
      flags.resume === undefined ? '' : `; the same command goes on from ${flags.resume}`;
    terminal.say(`Interrupted after ${steps} steps: what was learned is saved${later}.`);
  }
  const last = epochs.at(-1);
  terminal.result(
    { out, isComplete, steps, rows, epochs },
    `Saved ${out}: ${steps} steps on ${rows.training} rows` +
      (last === undefined ? '' : `, loss ${last.loss.toPrecision(4)}`) +
      (last?.validation === undefined ? '' : `, validation ${last.validation.toPrecision(4)}`),
  );
}
