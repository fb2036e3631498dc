import { MedleyError } from '@medley/kit';
import { Session, type RuntimeTensor } from '../session.ts';
import { rowsOf, type Inputs, type Rows, type TensorInput } from './feed.ts';
import { checkFinite, checkLosses } from './finite.ts';
import { noVectors, rateFeed, vectorFeeds, type UpdateVectors } from './update.ts';
import { checkPrivacy, noiseFeed } from './private/feed.ts';
import type { TrainingArtifacts, TrainingManifest } from './manifest.ts';

/** Model and optimizer state between calls; vectors are flat in manifest order. */
export interface TrainingState {
  /** [parameterCount] */
  readonly parameters: Float32Array;
  /** One after another, [slots × trainableCount]; see {@link initialSlots}. */
  readonly slots: Float32Array;
  /** Updates done so far. */
  readonly stepCount: number;
}

/** What every training call takes beside the state. */
export interface TrainingCall extends TrainingState, UpdateVectors {
  readonly inputs: Inputs;
  readonly labels: TensorInput;
  readonly learningRate: number;
  /** Other numbers of the optimizer by their manifest names, where they differ from its defaults. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  /**
   * What is added to the clipped sums, for a training with `privacy` only: [trainableCount] for each
   * step, one after another, of standard deviation noise multiplier × clip norm; see `gaussianNoise`.
   */
  readonly noise?: Float32Array;
}

export interface StepCall extends TrainingCall {
  /** Weight of each row in the mean loss; 0 leaves a row out. @default all 1 */
  readonly sampleWeights?: Float32Array;
}

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
  readonly parameters: Float32Array;
  readonly inputs: Inputs;
  readonly labels: TensorInput;
  /** Weight of each row in the mean. @default all 1 */
  readonly sampleWeights?: Float32Array;
  /** See {@link TrainingCall.noise}. */
  readonly noise?: Float32Array;
}

export interface Evaluation {
  /** The model's output, row-major. */
  readonly outputs: Float32Array;
  readonly dims: readonly number[];
  /** Loss of each row. */
  readonly losses: Float32Array;
  /** Their mean. */
  readonly meanLoss: number;
}

/** The state vectors of a fresh optimizer; owned by the caller. */
export function initialSlots(manifest: TrainingManifest): Float32Array {
  const { slots, slotStarts, trainableCount } = manifest;
  const state = new Float32Array(slots.length * trainableCount);
  slots.forEach((name, i) =>
    state.fill(slotStarts?.[name] ?? 0, i * trainableCount, (i + 1) * trainableCount),
  );
  return state;
}

/**
 * Runs the graphs of one training. All arrays given to it are read during the call only and never
 * changed or kept; all arrays it returns are fresh and belong to the caller. The same calls give the
 * same bits. A call blocks its thread until it is done, an epoch as long as it takes: long epochs are
 * cut by giving a part of the order.
 */
export class Trainer {
  readonly manifest: TrainingManifest;
  readonly #artifacts: TrainingArtifacts;
  readonly #sessions = new Map<keyof TrainingArtifacts, Promise<Session>>();

  private constructor(artifacts: TrainingArtifacts) {
    this.#artifacts = artifacts;
    this.manifest = artifacts.manifest;
  }

  /** Loads the step graph at once, the others when they are first used. Throws TRAINING_RUNTIME. */
  static async open(artifacts: TrainingArtifacts): Promise<Trainer> {
    const trainer = new Trainer(artifacts);
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
      ...this.#stateFeeds(call),
      ...rows.feeds,
      sample_weights: floats(weights, [rows.count]),
      ...noiseFeed(this.manifest, call.noise),
    };
    const results = await session.run(feeds, this.#stateOutputs('loss'));
    const loss = (results['loss']!.data as Float32Array)[0]!;
    checkLosses([loss]);
    return { ...this.#state(results, call.stepCount + 1), loss };
  }

  /**
   * ⌈order.length / batchSize⌉ updates in one run, bit for bit what as many steps give; `losses` holds
   * that of each batch before its update. With running statistics in the model a short last batch is a
   * run of its own, for whatever filled it would count among them. Throws what {@link step} throws.
   */
  async epoch(call: EpochCall): Promise<TrainingState & { readonly losses: Float32Array }> {
    const tail = this.#tail(call);
    if (tail > 0) return this.#epochAndTail(call, tail);
    const rows = rowsOf(this.manifest, call.inputs, call.labels);
    const { order, weights, steps } = batches(call, rows, this.manifest);
    const session = await this.#session('epoch');
    const feeds = {
      ...this.#stateFeeds({ ...call, learningRate: 0 }),
      learning_rate: rateFeed(call.learningRate, steps),
      ...rows.feeds,
      order: { dtype: 'int32', dims: [order.length], data: order },
      sample_weights: floats(weights, [weights.length]),
      ...noiseFeed(this.manifest, call.noise, steps),
      batch_size: { dtype: 'int64', dims: [1], data: BigInt64Array.of(BigInt(call.batchSize)) },
    };
    const results = await session.run(feeds, this.#stateOutputs('losses'));
    const losses = results['losses']!.data as Float32Array;
    checkLosses(losses);
    return { ...this.#state(results, call.stepCount + steps), losses };
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
    const feeds = { ...this.#stateFeeds(state), ...rows.feeds, sample_weights: weights, ...noise };
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
      parameters: this.#parameterFeed(call.parameters),
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

  /** Rows of a last batch that must not be filled up. */
  #tail({ order, batchSize, sampleWeights }: EpochCall): number {
    const { inputs, parameters } = this.manifest;
    const isFree = typeof inputs[0]?.shape[0] !== 'number';
    const hasBuffers = parameters.at(-1)?.role === 'buffer';
    const isSound = batchSize >= 1 && (sampleWeights ?? order).length === order.length;
    return isFree && hasBuffers && isSound ? order.length % batchSize : 0;
  }

  async #epochAndTail(call: EpochCall, tail: number): ReturnType<Trainer['epoch']> {
    const full = call.order.length - tail;
    const { learningRate: rate } = call;
    const part = (from: number, to: number, batchSize: number): EpochCall => ({
      ...call,
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
    if (full === 0) return this.epoch(part(0, tail, tail));
    const { losses: first, ...state } = await this.epoch(part(0, full, call.batchSize));
    const last = await this.epoch({ ...part(full, full + tail, tail), ...state });
    const losses = new Float32Array(first.length + last.losses.length);
    losses.set(first);
    losses.set(last.losses, first.length);
    return { ...last, losses };
  }

  #session(graph: 'step' | 'epoch' | 'evaluate'): Promise<Session> {
    const known = this.#sessions.get(graph);
    if (known !== undefined) return known;
    const opened = Session.open(this.#artifacts[graph]);
    this.#sessions.set(graph, opened);
    return opened;
  }

  #stateOutputs(last: string): readonly string[] {
    return ['next_parameters', ...this.manifest.slots.map((name) => `next_${name}`), last];
  }

  #parameterFeed(parameters: Float32Array): RuntimeTensor {
    const { parameterCount } = this.manifest;
    if (!(parameters instanceof Float32Array) || parameters.length !== parameterCount) {
      throw new MedleyError(
        'MODEL_PARAMETERS_MISMATCH',
        `${parameters.length} parameters given, ${parameterCount} wanted`,
      );
    }
    return floats(parameters, [parameterCount]);
  }

  #stateFeeds(call: TrainingCall): Record<string, RuntimeTensor> {
    const { trainableCount, slots, hyperparameters } = this.manifest;
    if (call.slots.length !== slots.length * trainableCount) {
      throw new MedleyError(
        'MODEL_PARAMETERS_MISMATCH',
        `${call.slots.length} slot values given, ${slots.length * trainableCount} wanted`,
      );
    }
    const feeds: Record<string, RuntimeTensor> = {
      parameters: this.#parameterFeed(call.parameters),
      ...vectorFeeds(this.manifest, call),
    };
    slots.forEach((name, i) => {
      feeds[name] = floats(call.slots.subarray(i * trainableCount, (i + 1) * trainableCount), [
        trainableCount,
      ]);
    });
    for (const name of Object.keys(call.hyperparameters ?? {})) {
      if (!Object.hasOwn(hyperparameters, name)) {
        throw new MedleyError(
          'TRAINING_OPTIONS_INVALID',
          `the optimizer has no "${name}" that can be changed`,
        );
      }
    }
    const numbers = {
      ...hyperparameters,
      ...call.hyperparameters,
      learning_rate: call.learningRate,
    };
    checkPrivacy(this.manifest, numbers);
    for (const [name, value] of Object.entries(numbers)) {
      if (!Number.isFinite(value))
        throw new MedleyError('TRAINING_OPTIONS_INVALID', `${name} must be finite`);
      feeds[name] = { dtype: 'float64', dims: [], data: Float64Array.of(value) };
    }
    if (!Number.isSafeInteger(call.stepCount) || call.stepCount < 0) {
      throw new MedleyError(
        'TRAINING_OPTIONS_INVALID',
        'stepCount must count the updates done before',
      );
    }
    feeds['step_count'] = {
      dtype: 'int64',
      dims: [],
      data: BigInt64Array.of(BigInt(call.stepCount)),
    };
    return feeds;
  }

  #state(results: Readonly<Record<string, RuntimeTensor>>, stepCount: number): TrainingState {
    const { manifest } = this;
    const parameters = results['next_parameters']!.data as Float32Array;
    checkFinite(manifest, parameters);
    const slots = initialSlots(manifest);
    manifest.slots.forEach((name, i) =>
      slots.set(results[`next_${name}`]!.data as Float32Array, i * manifest.trainableCount),
    );
    return { parameters, slots, stepCount };
  }
}

function floats(data: Float32Array, dims: readonly number[]): RuntimeTensor {
  return { dtype: 'float32', dims, data };
}

function weightsOf(given: Float32Array | undefined, count: number): Float32Array {
  if (given === undefined) return new Float32Array(count).fill(1);
  if (given.length !== count || given.some((weight) => !(weight >= 0 && weight < Infinity))) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `sampleWeights must be ${count} finite numbers from 0`,
    );
  }
  return given;
}

/** The order cut into whole batches: a short last one is filled with rows of weight 0. */
function batches(call: EpochCall, rows: Rows, manifest: TrainingManifest) {
  const { order, batchSize } = call;
  const fixed = manifest.inputs[0]?.shape[0];
  if (
    !Number.isSafeInteger(batchSize) ||
    batchSize < 1 ||
    (typeof fixed === 'number' && fixed !== batchSize)
  ) {
    throw new MedleyError(
      'TRAINING_OPTIONS_INVALID',
      `batchSize must be ${fixed ?? 'a whole number from 1'}`,
    );
  }
  if (order.length === 0 || order.some((row) => row < 0 || row >= rows.count)) {
    throw new MedleyError(
      'TRAINING_DATA_INVALID',
      `order must hold row indices from 0 to ${rows.count - 1}`,
    );
  }
  const steps = Math.ceil(order.length / batchSize);
  const weights = weightsOf(call.sampleWeights, order.length);
  if (order.length === steps * batchSize) return { order, weights, steps };
  const fullOrder = new Int32Array(steps * batchSize).fill(order[0]!);
  const fullWeights = new Float32Array(steps * batchSize);
  fullOrder.set(order);
  fullWeights.set(weights);
  return { order: fullOrder, weights: fullWeights, steps };
}
