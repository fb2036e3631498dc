import { MedleyError } from '@medley/kit';
import type { RuntimeTensor } from '../session.ts';
import type { Inputs, TensorInput } from './feed.ts';
import { checkFinite } from './finite.ts';
import type { TrainingManifest } from './manifest.ts';
import { checkPrivacy } from './private/feed.ts';
import { vectorFeeds, type UpdateVectors } from './update.ts';

/** The vectors that an update replaces, flat in manifest order. */
export interface StateVectors {
  /** [parameterCount] */
  readonly parameters: Float32Array;
  /** One after another, [slots × trainableCount]; see {@link initialSlots}. */
  readonly slots: Float32Array;
}

/** Model and optimizer state between calls. */
export interface TrainingState extends StateVectors {
  /** Updates done so far. */
  readonly stepCount: number;
}

/** What every training call takes beside the state. */
export interface TrainingCall extends TrainingState, UpdateVectors {
  readonly inputs: Inputs;
  /** As `manifest.labels` says; class indices in any integer array. */
  readonly labels: TensorInput;
  /** Any finite number. */
  readonly learningRate: number;
  /** Other numbers of the optimizer by their manifest names, where they differ from its defaults. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  /**
   * What is added to the clipped sums, for a training with `privacy` only: [trainableCount] for each
   * step, one after another, of standard deviation noise multiplier × clip norm; see `gaussianNoise`.
   */
  readonly noise?: Float32Array;
  /**
   * Where the next vectors are written, of the lengths of those given but other arrays; they become
   * the caller's again in the state that is returned. Without it every call makes fresh ones.
   */
  readonly into?: StateVectors;
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

/** The model's vector as a feed. Throws MODEL_PARAMETERS_MISMATCH. */
export function parameterFeed(
  { parameterCount }: TrainingManifest,
  parameters: Float32Array,
): RuntimeTensor {
  if (!(parameters instanceof Float32Array) || parameters.length !== parameterCount) {
    throw new MedleyError(
      'MODEL_PARAMETERS_MISMATCH',
      `${parameters.length} parameters given, ${parameterCount} wanted`,
    );
  }
  return floats(parameters, [parameterCount]);
}

/**
 * State, numbers and further vectors of a call as feeds. Throws MODEL_PARAMETERS_MISMATCH and
 * TRAINING_OPTIONS_INVALID.
 */
export function stateFeeds(
  manifest: TrainingManifest,
  call: TrainingCall,
): Record<string, RuntimeTensor> {
  const { trainableCount, slots, hyperparameters } = manifest;
  if (call.slots.length !== slots.length * trainableCount) {
    throw new MedleyError(
      'MODEL_PARAMETERS_MISMATCH',
      `${call.slots.length} slot values given, ${slots.length * trainableCount} wanted`,
    );
  }
  const feeds: Record<string, RuntimeTensor> = {
    parameters: parameterFeed(manifest, call.parameters),
    ...vectorFeeds(manifest, call),
  };
  slots.forEach((name, i) => {
    feeds[name] = slotOf(call, i, trainableCount);
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
  checkPrivacy(manifest, numbers);
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

/** What an update gives, with `last` beside it: fresh, or in the vectors of `into`. */
export function stateFetches(
  manifest: TrainingManifest,
  into: StateVectors | undefined,
  last: string,
): Record<string, RuntimeTensor | null> {
  const { slots, trainableCount: count } = manifest;
  const names = slots.map((name) => `next_${name}`);
  if (into === undefined)
    return Object.fromEntries(['next_parameters', ...names, last].map((name) => [name, null]));
  if (into.slots.length !== slots.length * count)
    throw new MedleyError('MODEL_PARAMETERS_MISMATCH', 'the vectors of `into` do not fit');
  const parts = names.map((name, i) => [name, slotOf(into, i, count)] as const);
  const next_parameters = parameterFeed(manifest, into.parameters);
  return { next_parameters, ...Object.fromEntries(parts), [last]: null };
}

/** The state that a run gave. Throws TRAINING_NOT_FINITE. */
export function nextState(
  manifest: TrainingManifest,
  results: Readonly<Record<string, RuntimeTensor>>,
  stepCount: number,
  into: StateVectors | undefined,
): TrainingState {
  const parameters = into?.parameters ?? (results['next_parameters']!.data as Float32Array);
  checkFinite(manifest, parameters);
  const { slots: names, trainableCount: count } = manifest;
  if (into !== undefined) return { parameters, slots: into.slots, stepCount };
  const slots = new Float32Array(names.length * count);
  names.forEach((name, i) => slots.set(results[`next_${name}`]!.data as Float32Array, i * count));
  return { parameters, slots, stepCount };
}

function slotOf({ slots }: StateVectors, index: number, count: number): RuntimeTensor {
  return floats(slots.subarray(index * count, (index + 1) * count), [count]);
}

/** A float32 tensor over `data`. */
export function floats(data: Float32Array, dims: readonly number[]): RuntimeTensor {
  return { dtype: 'float32', dims, data };
}
