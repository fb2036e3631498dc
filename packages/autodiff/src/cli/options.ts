import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BatchNormMode } from '../graph/mode.ts';
import { LOSSES, type LossName } from '../loss/loss.ts';
import type { GradientOptions, OptimizerOptions } from '../optimizer/optimizer.ts';
import { learningRateAt } from '../optimizer/schedule.ts';

const OPTIMIZERS = [
  'sgd',
  'adam',
  'adamw',
  'adagrad',
  'rmsprop',
  'yogi',
  'lamb',
  'lion',
] as const satisfies readonly OptimizerOptions['kind'][];

const SCHEDULES = ['constant', 'linear', 'cosine', 'oneCycle'] as const;

/** What the command line says, with its defaults. */
export interface TrainFlags {
  readonly data: string;
  readonly loss: LossName;
  readonly target?: readonly string[];
  readonly features?: readonly string[];
  readonly optimizer: (typeof OPTIMIZERS)[number];
  readonly lr: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  readonly clip?: number;
  readonly schedule: (typeof SCHEDULES)[number];
  readonly epochs: number;
  readonly batch: number;
  readonly validation: number;
  readonly patience?: number;
  readonly standardize: boolean;
  readonly batchNorm: BatchNormMode;
  readonly seed: string;
  readonly out?: string;
  readonly resume?: string;
  readonly report: boolean;
  readonly json: boolean;
}

/** Puts the options on the command. */
export function addOptions(command: Command): Command {
  const list = (text: string): readonly string[] => text.split(',').map((name) => name.trim());
  return command
    .requiredOption('--data <file.csv>', 'numbers, comma-separated, under a line of column names')
    .addOption(
      new Option('--loss <name>', 'what training makes small')
        .choices(LOSSES)
        .makeOptionMandatory(),
    )
    .option('--target <columns>', 'columns to predict (default: the last one)', list)
    .option('--features <columns>', 'columns the model reads (default: all others)', list)
    .addOption(new Option('--optimizer <name>').choices(OPTIMIZERS).default('adam'))
    .option('--lr <number>', 'learning rate', above(0), 0.001)
    .option('--momentum <number>', 'for sgd and rmsprop', from(0))
    .option('--weight-decay <number>', "the optimizer's weight decay", from(0))
    .option('--clip <norm>', 'greatest length of the gradient of an update', above(0))
    .addOption(
      new Option('--schedule <name>', 'how the learning rate falls over all epochs')
        .choices(SCHEDULES)
        .default('constant'),
    )
    .option('--epochs <count>', 'passes over the data', whole, 20)
    .option('--batch <rows>', 'rows of one update', whole, 32)
    .option('--validation <share>', 'share of the rows kept for judging', share, 0.2)
    .option('--patience <epochs>', 'stop after so many without a better validation loss', whole)
    .option(
      '--standardize',
      'centre and scale each feature; becomes part of the saved model',
      false,
    )
    .addOption(
      new Option('--batch-norm <mode>', 'what BatchNormalization does while training')
        .choices(['train', 'frozen', 'asExported'])
        .default('asExported'),
    )
    .option('--seed <text>', 'decides split and order of the rows', '1')
    .option('--out <model.onnx>', 'where the trained model goes (default: MODEL.trained.onnx)')
    .option('--resume <file>', 'keep the state in this file and go on from it when it is there')
    .option('--report', 'only tell what the training would be and cost', false)
    .option('--json', 'write the result as one JSON document', false);
}

/** The optimizer of the flags. */
export function optimizerOf({ optimizer, momentum, weightDecay }: TrainFlags): OptimizerOptions {
  return {
    kind: optimizer,
    ...(momentum === undefined ? {} : { momentum }),
    ...(weightDecay === undefined ? {} : { weightDecay }),
  };
}

/** The bound on the gradient, as an option of a training. */
export function clipOf({ clip }: TrainFlags): GradientOptions {
  return clip === undefined ? {} : { clip: { kind: 'norm', limit: clip } };
}

/** The learning rate of an update, from 0. */
export function rateOf({ schedule: kind, lr: rate }: TrainFlags, steps: number) {
  return (update: number): number =>
    learningRateAt(kind === 'constant' ? { kind, rate } : { kind, rate, steps }, update);
}

function number(text: string, isFit: (value: number) => boolean, wants: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!isFit(value)) throw new InvalidArgumentError(`It must be ${wants}.`);
  return value;
}

const isFinite = Number.isFinite;
const above = (low: number) => (text: string) =>
  number(text, (value) => isFinite(value) && value > low, `above ${low}`);
const from = (low: number) => (text: string) =>
  number(text, (value) => isFinite(value) && value >= low, `${low} or more`);
const whole = (text: string): number =>
  number(text, (value) => Number.isSafeInteger(value) && value >= 1, 'a whole number from 1');
const share = (text: string): number =>
  number(text, (value) => value >= 0 && value < 1, 'from 0 to below 1');
