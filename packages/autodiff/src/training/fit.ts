import { setImmediate } from 'node:timers/promises';
import type { Clock } from '@medley/kit';
import {
  initialSlots,
  type EpochCall,
  type StateVectors,
  type Trainer,
  type TrainingState,
} from './trainer.ts';

/** A long training: an epoch for each order, cut into runs that can be watched and stopped. */
export interface FitCall extends Omit<EpochCall, 'order' | 'learningRate' | 'into' | 'noise'> {
  /** For each epoch the rows in the order of use. */
  readonly orders: Iterable<Int32Array>;
  /** One for all updates, or that of an update by its number from 0; see `learningRateAt`. */
  readonly learningRate: number | ((update: number) => number);
}

/** Who may watch and stop a training. */
export interface FitWatch {
  readonly clock: Clock;
  /** Stops the training after the chunk that runs. */
  readonly signal?: AbortSignal | undefined;
  /** After each chunk. */
  readonly onProgress?: ((progress: FitProgress) => void) | undefined;
  /** After each epoch; false stops the training. The state is on loan until the next epoch begins. */
  readonly onEpoch?: ((epoch: FittedEpoch) => Promise<boolean>) | undefined;
  /** Aim for one run of the engine, which nothing can interrupt. @default 250 */
  readonly chunkMs?: number;
}

/** What is known after a chunk. */
export interface FitProgress {
  /** Updates of this training so far. */
  readonly steps: number;
  /** Loss of the chunk's last batch before its update. */
  readonly loss: number;
}

/** What is known after an epoch. */
export interface FittedEpoch {
  /** From 0. */
  readonly epoch: number;
  readonly state: TrainingState;
  /** Mean over the epoch's batches of the loss before their update. */
  readonly meanLoss: number;
}

/** What a training gave. */
export interface Fitted {
  /** Of the last update that was made; owned by the caller. */
  readonly state: TrainingState;
  /** Loss of each batch before its update. */
  readonly losses: Float32Array;
  /** False when the signal or `onEpoch` ended it early. */
  readonly isComplete: boolean;
}

/**
 * Trains through the orders in runs of about `chunkMs`: between two of them messages are heard and the
 * signal is looked at. Where the runs are cut changes no bit of the result. The vectors go to and fro
 * between two sets of arrays that are made once. Throws what {@link Trainer.epoch} throws.
 */
export async function fit(trainer: Trainer, call: FitCall, watch: FitWatch): Promise<Fitted> {
  const { orders, learningRate, parameters, slots, stepCount, ...fixed } = call;
  const { batchSize } = call;
  const spare: StateVectors[] = [empty(trainer), empty(trainer)];
  const losses: number[] = [];
  const clock = new Pace(watch.clock, watch.chunkMs ?? 250);
  let state: TrainingState = { parameters, slots, stepCount };
  const end = (isComplete: boolean): Fitted => ({
    // A training without an update gives copies, so that the caller owns what comes out.
    state:
      losses.length > 0
        ? state
        : { ...state, parameters: parameters.slice(), slots: slots.slice() },
    losses: Float32Array.from(losses),
    isComplete,
  });
  let epoch = 0;
  for (const order of orders) {
    const first = losses.length;
    for (let at = 0; at < order.length;) {
      await setImmediate();
      if (watch.signal?.aborted === true) return end(false);
      const part = order.subarray(at, at + clock.steps * batchSize);
      const updates = Math.ceil(part.length / batchSize);
      const into = spare.find((vectors) => vectors.parameters !== state.parameters)!;
      const { losses: found, ...next } = await clock.time(updates, () =>
        trainer.epoch({
          ...fixed,
          ...state,
          order: part,
          learningRate: rates(state.stepCount, updates),
          into,
        }),
      );
      state = next;
      at += part.length;
      for (const loss of found) losses.push(loss);
      watch.onProgress?.({ steps: losses.length, loss: losses.at(-1)! });
    }
    const meanLoss = mean(losses.slice(first));
    const goesOn = (await watch.onEpoch?.({ epoch: epoch++, state, meanLoss })) ?? true;
    if (!goesOn) return end(false);
  }
  return end(true);

  function rates(from: number, updates: number): number | Float64Array {
    if (typeof learningRate === 'number') return learningRate;
    return Float64Array.from({ length: updates }, (_, i) => learningRate(from + i));
  }
}

/** Finds by measuring how many steps fit into one run. */
class Pace {
  readonly #clock: Clock;
  readonly #aimMs: number;
  #steps = 1;

  constructor(clock: Clock, aimMs: number) {
    this.#clock = clock;
    this.#aimMs = aimMs;
  }

  get steps(): number {
    return this.#steps;
  }

  /** Runs `work` of so many steps; grows by at most four times and shrinks at once. */
  async time<T>(steps: number, work: () => Promise<T>): Promise<T> {
    const startMs = this.#clock.nowMs();
    const result = await work();
    const elapsedMs = this.#clock.nowMs() - startMs;
    const fitting = Math.floor((steps * this.#aimMs) / Math.max(elapsedMs, 1));
    this.#steps = Math.max(1, Math.min(this.#steps * 4, fitting));
    return result;
  }
}

function empty({ manifest }: Trainer): StateVectors {
  return {
    parameters: new Float32Array(manifest.parameterCount),
    slots: initialSlots(manifest),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
