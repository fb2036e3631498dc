import { Session, type RunRecord } from '../session.ts';
import { rowsOf, type Inputs, type TensorInput } from './feed.ts';
import { checkLosses } from './finite.ts';
import type { TrainingArtifacts, TrainingManifest } from './manifest.ts';
import { batches, weightsOf } from './order.ts';
import { noiseFeed } from './private/feed.ts';
import {
  floats,
  initialSlots,
  nextState,
  parameterFeed,
  stateFeeds,
  stateFetches,
  type TrainingCall,
  type TrainingState,
} from './state.ts';
import { noVectors, rateFeed } from './update.ts';

export { initialSlots, type StateVectors, type TrainingCall, type TrainingState } from './state.ts';

/** One update on all the rows given. */
export interface StepCall extends TrainingCall {
  /** Weight of each row in the mean loss; 0 leaves a row out. @default all 1 */
  readonly sampleWeights?: Float32Array;
}

/** Updates on batches of the rows, which are fed once. */
export interface EpochCall extends Omit<TrainingCall, 'learningRate'> {
  /** One for all updates, or one for each; see `learningRates`. */
  readonly learningRate: number | Float64Array;
  /** Row indices in the order of use. When it is no multiple of `batchSize`, the last batch is smaller. */
  readonly order: Int32Array;
  /** Rows of one update, at least 1. */
  readonly batchSize: number;
  /** Weight of each entry of `order`. @default all 1 */
  readonly sampleWeights?: Float32Array;
}

/** Rows to look at without changing anything. */
export interface RowsCall {
  /** [parameterCount] */
  readonly parameters: Float32Array;
  readonly inputs: Inputs;
  readonly labels: TensorInput;
  /** Weight of each row in the mean. @default all 1 */
  readonly sampleWeights?: Float32Array;
  /** See {@link TrainingCall.noise}. */
  readonly noise?: Float32Array;
}

/** What the model says of rows; the arrays are the caller's. */
export interface Evaluation {
  /** The model's output, row-major. */
  readonly outputs: Float32Array;
  /** Shape of `outputs`; the first size is the number of rows. */
  readonly dims: readonly number[];
  /** Loss of each row, [rows]. */
  readonly losses: Float32Array;
  /** Their mean by the sample weights, as training takes it. */
  readonly meanLoss: number;
}

/** How a training is run. */
export interface TrainerOptions {
  /**
   * Audit: gets the hashes of everything that goes into and comes out of each run of a graph. Whoever
   * has the same artifacts, data and processor repeats the run and gets the same record.
   */
  readonly onRun?: (record: RunRecord) => void;
}

/**
 * Runs the graphs of one training. All arrays given to it are read during the call only and never
 * changed or kept; all arrays it returns belong to the caller and are fresh, or those of `into`. The
 * same calls give the same bits, unless the model draws in the runtime, as Dropout in training does. A
 * call blocks its thread until it is done, an epoch as long as it takes: `fit` cuts long ones.
 */
export class Trainer {
  readonly manifest: TrainingManifest;
  readonly #artifacts: TrainingArtifacts;
  readonly #sessions = new Map<keyof TrainingArtifacts, Promise<Session>>();

  readonly #onRun: ((record: RunRecord) => void) | undefined;

  private constructor(artifacts: TrainingArtifacts, options: TrainerOptions) {
    this.#artifacts = artifacts;
    this.#onRun = options.onRun;
    this.manifest = artifacts.manifest;
  }

  /** Loads the step graph at once, the others when they are first used. Throws TRAINING_RUNTIME. */
  static async open(artifacts: TrainingArtifacts, options: TrainerOptions = {}): Promise<Trainer> {
    const trainer = new Trainer(artifacts, options);
    await trainer.#session('step');
    return trainer;
  }

  /**
   * One update on all the rows given; `loss` is that before it.
   * Throws TRAINING_DATA_INVALID, MODEL_PARAMETERS_MISMATCH, TRAINING_OPTIONS_INVALID,
   * TRAINING_NOT_FINITE, TRAINING_RUNTIME.
   */
  async step(call: StepCall): Promise<TrainingState & { readonly loss: number }> {
    const rows = rowsOf(this.manifest, call.inputs, call.labels);
    const weights = weightsOf(call.sampleWeights, rows.count);
    const session = await this.#session('step');
    const feeds = {
      ...stateFeeds(this.manifest, call),
      ...rows.feeds,
      sample_weights: floats(weights, [rows.count]),
      ...noiseFeed(this.manifest, call.noise),
    };
    const results = await session.run(feeds, stateFetches(this.manifest, call.into, 'loss'));
    const loss = (results['loss']!.data as Float32Array)[0]!;
    checkLosses([loss]);
    return { ...nextState(this.manifest, results, call.stepCount + 1, call.into), loss };
  }

  /**
   * ⌈order.length / batchSize⌉ updates in one run, bit for bit what as many steps give; `losses` holds
   * that of each batch before its update. A short last batch is a run of its own: what filled it would
   * count in running statistics, and products of matrices of another size round otherwise. A model of a
   * fixed number of rows gets it filled with rows of weight 0. Throws what {@link step} throws.
   */
  async epoch(call: EpochCall): Promise<TrainingState & { readonly losses: Float32Array }> {
    const rows = rowsOf(this.manifest, call.inputs, call.labels);
    const tail = call.batchSize <= rows.count ? this.#tail(call) : 0;
    if (tail > 0) return this.#epochAndTail(call, tail);
    const { order, weights, steps } = batches(call, rows, this.manifest);
    const session = await this.#session('epoch');
    const feeds = {
      ...stateFeeds(this.manifest, { ...call, learningRate: 0 }),
      learning_rate: rateFeed(call.learningRate, steps),
      ...rows.feeds,
      order: { dtype: 'int32', dims: [order.length], data: order },
      sample_weights: floats(weights, [weights.length]),
      ...noiseFeed(this.manifest, call.noise, steps),
      batch_size: { dtype: 'int64', dims: [1], data: BigInt64Array.of(BigInt(call.batchSize)) },
    };
    const results = await session.run(feeds, stateFetches(this.manifest, call.into, 'losses'));
    const losses = results['losses']!.data as Float32Array;
    checkLosses(losses);
    return { ...nextState(this.manifest, results, call.stepCount + steps, call.into), losses };
  }

  /**
   * The mean loss of rows and its gradient, [trainableCount] in manifest order; no update is made. Throws what
   * {@link step} throws.
   */
  async gradient(call: RowsCall): Promise<{
    readonly gradient: Float32Array;
    readonly loss: number;
    /** With `privacy`: L2 norm of each row's gradient before clipping. */
    readonly norms?: Float32Array;
  }> {
    const rows = rowsOf(this.manifest, call.inputs, call.labels);
    const start = { slots: initialSlots(this.manifest), stepCount: 0, learningRate: 0 };
    const state = { ...call, ...start, ...noVectors(this.manifest) };
    const weights = floats(weightsOf(call.sampleWeights, rows.count), [rows.count]);
    const session = await this.#session('step');
    const noise = noiseFeed(this.manifest, call.noise);
    const feeds = {
      ...stateFeeds(this.manifest, state),
      ...rows.feeds,
      sample_weights: weights,
      ...noise,
    };
    const isPrivate = this.manifest.privacy !== undefined;
    const results = await session.run(feeds, ['gradient', 'loss', ...(isPrivate ? ['norms'] : [])]);
    const loss = (results['loss']!.data as Float32Array)[0]!;
    checkLosses([loss]);
    const norms = isPrivate && { norms: results['norms']!.data as Float32Array };
    return { gradient: results['gradient']!.data as Float32Array, loss, ...norms };
  }

  /** Outputs and losses of rows. Throws TRAINING_DATA_INVALID, MODEL_PARAMETERS_MISMATCH, TRAINING_RUNTIME. */
  async evaluate(call: RowsCall): Promise<Evaluation> {
    const rows = rowsOf(this.manifest, call.inputs, call.labels);
    const session = await this.#session('evaluate');
    const feeds = {
      parameters: parameterFeed(this.manifest, call.parameters),
      ...rows.feeds,
      sample_weights: floats(weightsOf(call.sampleWeights, rows.count), [rows.count]),
    };
    const results = await session.run(feeds, ['outputs', 'losses', 'mean_loss']);
    const { data, dims } = results['outputs']!;
    return {
      outputs: data as Float32Array,
      dims,
      losses: results['losses']!.data as Float32Array,
      meanLoss: (results['mean_loss']!.data as Float32Array)[0]!,
    };
  }

  /** Frees the graphs. */
  async close(): Promise<void> {
    const open = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    for (const entry of open) if (entry.status === 'fulfilled') await entry.value.close();
  }

  /** Rows of a last batch that is a run of its own. Lots come filled up with rows of weight 0. */
  #tail({ order, batchSize, sampleWeights }: EpochCall): number {
    const { inputs, privacy } = this.manifest;
    const isFree = typeof inputs[0]?.shape[0] !== 'number' && privacy === undefined;
    const isSound = batchSize >= 1 && (sampleWeights ?? order).length === order.length;
    return isFree && isSound ? order.length % batchSize : 0;
  }

  async #epochAndTail(call: EpochCall, tail: number): ReturnType<Trainer['epoch']> {
    const full = call.order.length - tail;
    const { learningRate: rate, into, ...fresh } = call;
    const part = (from: number, to: number, batchSize: number): EpochCall => ({
      ...fresh,
      learningRate:
        typeof rate === 'number'
          ? rate
          : rate.subarray(from / call.batchSize, Math.ceil(to / call.batchSize)),
      batchSize,
      order: call.order.subarray(from, to),
      ...(call.sampleWeights === undefined
        ? {}
        : { sampleWeights: call.sampleWeights.subarray(from, to) }),
    });
    if (full === 0) return this.epoch({ ...part(0, tail, tail), ...(into && { into }) });
    const { losses: first, ...state } = await this.epoch(part(0, full, call.batchSize));
    const last = await this.epoch({
      ...part(full, full + tail, tail),
      ...state,
      ...(into && { into }),
    });
    const losses = new Float32Array(first.length + last.losses.length);
    losses.set(first);
    losses.set(last.losses, first.length);
    return { ...last, losses };
  }

  #session(graph: 'step' | 'epoch' | 'evaluate'): Promise<Session> {
    const known = this.#sessions.get(graph);
    if (known !== undefined) return known;
    const opened = Session.open(this.#artifacts[graph], this.#onRun);
    this.#sessions.set(graph, opened);
    return opened;
  }
}
