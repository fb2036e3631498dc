import { setImmediate } from 'node:timers/promises';
import { initialSlots, type Trainer, type TrainingState } from '@medley/autodiff';
import { MedleyError, seededRng, type Clock } from '@medley/kit';
import type { TrainingPlan } from '@medley/study';
import { epochOrders } from './batch.ts';
import type { WorkProgress } from './work.ts';

/** Rows as the model reads them. */
export interface Examples {
  /** `[rows, columns]`, row-major, standardised. */
  readonly inputs: Float32Array;
  /** `[rows]`, 0 or 1. */
  readonly labels: Float32Array;
}

/** Who may watch and stop long work. */
export interface Supervision {
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: WorkProgress) => void) | undefined;
}

export interface Descent {
  readonly trainer: Trainer;
  readonly plan: TrainingPlan;
  readonly start: Float32Array;
  readonly examples: Examples;
  readonly steps: number;
  /** Seeds the order of the rows. */
  readonly seed: string;
}

export interface Descended {
  readonly parameters: Float32Array;
  /** Mean over the steps of each batch's loss before its update. */
  readonly meanLoss: number;
}

/** Aim for one run of the engine, which cannot be interrupted. */
const CHUNK_MS = 250;

/**
 * Runs `steps` optimizer steps from `start` with fresh optimizer state, in chunks of about a quarter
 * second: between two chunks progress is told and cancelling is heard. Where the chunks are cut does
 * not change a bit of the result. Throws INTERRUPTED after the signal, TRAINING_NOT_FINITE when the
 * loss or a parameter leaves the numbers.
 */
export async function descend(descent: Descent, watch: Supervision): Promise<Descended> {
  const { trainer, plan, examples, steps, seed } = descent;
  // A site with fewer rows takes all of them in each step.
  const batchSize = Math.min(plan.batchSize, examples.labels.length);
  let state: TrainingState = {
    parameters: descent.start,
    slots: initialSlots(trainer.manifest),
    stepCount: 0,
  };
  let lossSum = 0;
  let chunkSteps = 1;
  for (const order of epochOrders(seededRng(seed), examples.labels.length, batchSize, steps)) {
    for (let at = 0; at < order.length;) {
      await checkpoint(watch);
      const part = order.slice(at, at + chunkSteps * batchSize);
      const startMs = watch.clock.nowMs();
      const { losses, ...next } = await trainer.epoch({
        ...state,
        ...examples,
        order: part,
        batchSize,
        learningRate: plan.learningRate,
      });
      state = next;
      at += part.length;
      lossSum += losses.reduce((sum, loss) => sum + loss, 0);
      chunkSteps = nextChunk(chunkSteps, watch.clock.nowMs() - startMs);
      watch.onProgress?.({ done: state.stepCount, total: steps });
    }
  }
  return { parameters: state.parameters, meanLoss: lossSum / steps };
}

/** Lets messages in, then throws INTERRUPTED when one of them was to stop. */
export async function checkpoint({ signal }: Supervision): Promise<void> {
  await setImmediate();
  if (signal?.aborted) throw new MedleyError('INTERRUPTED', 'local work was cancelled');
}

/** Grows by at most four times and shrinks at once towards the aim. */
export function nextChunk(steps: number, elapsedMs: number): number {
  const fitting = Math.floor((steps * CHUNK_MS) / Math.max(elapsedMs, 1));
  return Math.max(1, Math.min(steps * 4, fitting));
}
