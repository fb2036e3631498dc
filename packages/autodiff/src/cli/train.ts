import {
  documentHash,
  MedleyError,
  permutation,
  seededRng,
  sha256,
  toHex,
  uniformInt,
} from '@medley/kit';
import { initialParameters } from '../inspect.ts';
import { buildTraining } from '../training/build.ts';
import type { TensorInput } from '../training/feed.ts';
import { fit, type FitWatch } from '../training/fit.ts';
import type { TrainingManifest } from '../training/manifest.ts';
import { initialSlots, Trainer, type TrainingState } from '../training/trainer.ts';
import { clipOf, optimizerOf, rateOf, type TrainFlags } from './options.ts';
import { readStanding, writeStanding, type Best } from './standing.ts';
import { cells, tensorOf, type Table, type Wanted } from './table.ts';

/** Figures of one epoch. */
export interface EpochFigures {
  /** From 1. */
  readonly epoch: number;
  /** Mean loss of the batches before their update. */
  readonly loss: number;
  /** Mean loss of the rows kept for judging. */
  readonly validation?: number;
}

/** What a training on a table gives. */
export interface Trained {
  /** The weights to keep: the best of the validation with `patience`, else the last. */
  readonly parameters: Float32Array;
  readonly epochs: readonly EpochFigures[];
  readonly isComplete: boolean;
  readonly scaling?: Scaling | undefined;
  readonly rows: { readonly training: number; readonly validation: number };
  readonly steps: number;
}

interface Scaling {
  readonly mean: Float32Array;
  readonly scale: Float32Array;
}

interface Rows {
  readonly inputs: TensorInput;
  readonly labels: TensorInput;
  readonly count: number;
}

export interface TrainWatch extends Omit<FitWatch, 'onEpoch'> {
  readonly onFigures?: (figures: EpochFigures) => void;
}

/** Rows that are evaluated at once, which bounds the memory. */
const JUDGED_AT_ONCE = 1024;

/**
 * Trains a model on a table. The split and the orders follow from the seed alone, so that a training
 * that was stopped and resumed gives the bits of one that was not. Throws MODEL_*, TRAINING_*.
 */
export async function trainOnTable(
  model: Uint8Array,
  table: Table & Wanted,
  flags: TrainFlags,
  watch: TrainWatch,
): Promise<Trained> {
  const { loss, batchNorm, seed } = flags;
  const artifacts = buildTraining(model, {
    loss,
    optimizer: optimizerOf(flags),
    ...clipOf(flags),
    batchNorm,
  });
  const { manifest } = artifacts;
  const shuffled = permutation(seededRng(`${seed} split`), table.rows);
  const kept = Math.floor(flags.validation * table.rows);
  const [judged, learned] = [shuffled.subarray(0, kept), shuffled.subarray(kept)];
  const scaling = flags.standardize ? scalingOf(table, learned) : undefined;
  const [training, validation] = [learned, judged].map((rows) =>
    rowsOf(manifest, table, rows, scaling),
  ) as [Rows, Rows];
  const course = documentHash({
    model: manifest.sourceSha256,
    data: toHex(sha256(new Uint8Array(table.values.buffer))),
    columns: table.columns,
    flags: {
      ...flags,
      ...(flags.schedule === 'constant' && { epochs: 0 }),
      data: '',
      out: '',
      resume: '',
      json: false,
      report: false,
    },
  });
  const trainer = await Trainer.open(artifacts);
  try {
    const before =
      flags.resume === undefined ? undefined : await readStanding(flags.resume, course);
    const start = before?.state ?? {
      parameters: initialParameters(model, { batchNorm }),
      slots: initialSlots(manifest),
      stepCount: 0,
    };
    const { state, best, ...rest } = await descend({
      trainer,
      flags,
      training,
      validation,
      start,
      best: before?.best,
      watch,
    });
    if (flags.resume !== undefined) await writeStanding(flags.resume, { course, state, best });
    const rows = { training: training.count, validation: validation.count };
    return { ...rest, scaling, rows, steps: state.stepCount };
  } finally {
    await trainer.close();
  }
}

interface Descent {
  readonly trainer: Trainer;
  readonly flags: TrainFlags;
  readonly training: Rows;
  readonly validation: Rows;
  readonly start: TrainingState;
  readonly best: Best | undefined;
  readonly watch: TrainWatch;
}

async function descend(descent: Descent) {
  const { trainer, flags, training, validation, start, watch } = descent;
  const perEpoch = Math.ceil(training.count / flags.batch);
  const firstEpoch = Math.floor(start.stepCount / perEpoch);
  const epochs: EpochFigures[] = [];
  let { best } = descent;
  const fitted = await fit(
    trainer,
    {
      ...start,
      ...training,
      batchSize: flags.batch,
      learningRate: rateOf(flags, perEpoch * flags.epochs),
      ...chanceOf(trainer.manifest, flags.seed),
      orders: ordersFrom(start.stepCount),
    },
    { ...watch, onEpoch },
  );
  const parameters = best?.parameters ?? fitted.state.parameters;
  const isStopped = watch.signal?.aborted === true && !fitted.isComplete;
  return { state: fitted.state, best, parameters, epochs, isComplete: !isStopped };

  function* ordersFrom(stepCount: number): Generator<Int32Array> {
    const done = (stepCount % perEpoch) * flags.batch;
    for (let epoch = firstEpoch; epoch < flags.epochs; epoch++) {
      const order = permutation(seededRng(`${flags.seed} epoch ${epoch}`), training.count);
      yield epoch === firstEpoch ? order.subarray(done) : order;
    }
  }

  async function onEpoch(now: { epoch: number; state: TrainingState; meanLoss: number }) {
    const epoch = firstEpoch + now.epoch + 1;
    const judged =
      validation.count === 0 ? undefined : await judge(trainer, validation, now.state.parameters);
    const figures = {
      epoch,
      loss: now.meanLoss,
      ...(judged === undefined ? {} : { validation: judged }),
    };
    epochs.push(figures);
    watch.onFigures?.(figures);
    if (flags.patience === undefined || judged === undefined) return true;
    if (best === undefined || judged < best.validation)
      best = { validation: judged, epoch, parameters: now.state.parameters.slice() };
    return epoch - best.epoch < flags.patience;
  }
}

/** The number that Dropout's masks follow from, where the model has any. */
function chanceOf({ hyperparameters }: TrainingManifest, seed: string) {
  if (!Object.hasOwn(hyperparameters, 'seed')) return {};
  return { hyperparameters: { seed: uniformInt(seededRng(`${seed} dropout`), 2 ** 32) } };
}

/** Mean loss of rows, a part at a time. */
async function judge(trainer: Trainer, rows: Rows, parameters: Float32Array): Promise<number> {
  const fixed = trainer.manifest.inputs[0]?.shape[0];
  const size = typeof fixed === 'number' ? fixed : JUDGED_AT_ONCE;
  let sum = 0;
  let count = 0;
  for (let at = 0; at + (typeof fixed === 'number' ? size : 1) <= rows.count; at += size) {
    const to = Math.min(at + size, rows.count);
    const part = { inputs: sliced(rows.inputs, at, to), labels: sliced(rows.labels, at, to) };
    const { meanLoss } = await trainer.evaluate({ parameters, ...part });
    sum += meanLoss * (to - at);
    count += to - at;
  }
  return sum / count;
}

function sliced(input: TensorInput, from: number, to: number): TensorInput {
  if (!('dims' in input)) throw new TypeError('a tensor without sizes');
  const perRow = input.data.length / input.dims[0]!;
  const data = input.data.subarray(from * perRow, to * perRow);
  return { data, dims: [to - from, ...input.dims.slice(1)] };
}

function rowsOf(
  manifest: TrainingManifest,
  table: Table & Wanted,
  rows: Int32Array,
  by?: Scaling,
): Rows {
  const [input, ...others] = manifest.inputs;
  if (input === undefined || others.length > 0)
    throw new MedleyError('MODEL_INPUT_UNFIT', 'a table trains models with exactly one input');
  if (rows.length === 0) {
    const none: TensorInput = { data: new Float32Array(0), dims: [0] };
    return { inputs: none, labels: none, count: 0 };
  }
  const features = cells(table, table.features, rows);
  const width = table.features.length;
  if (by !== undefined)
    for (let i = 0; i < features.length; i++)
      features[i] = (features[i]! - by.mean[i % width]!) / by.scale[i % width]!;
  return {
    inputs: tensorOf(input, features, rows.length),
    labels: tensorOf(manifest.labels, cells(table, table.targets, rows), rows.length),
    count: rows.length,
  };
}

/** Mean and standard deviation of each feature over the training rows; a constant one keeps scale 1. */
function scalingOf(table: Table & Wanted, rows: Int32Array): Scaling {
  const width = table.features.length;
  const values = cells(table, table.features, rows);
  const mean = new Float64Array(width);
  const spread = new Float64Array(width);
  values.forEach((value, i) => (mean[i % width]! += value / rows.length));
  values.forEach(
    (value, i) => (spread[i % width]! += (value - mean[i % width]!) ** 2 / rows.length),
  );
  return {
    mean: Float32Array.from(mean),
    scale: Float32Array.from(spread, (square) => Math.sqrt(square) || 1),
  };
}
