import { MedleyError } from '@medley/kit';
import { slotStep, type Slot } from '@medley/secagg';
import type { Charter } from './charter.ts';
import {
  evaluationValues,
  readEvaluation,
  type Evaluation,
  type ScoredRows,
} from './evaluation.ts';
import { LOSS_CAP, type DecodedSlots, type SlotValues } from './plan.ts';
import { rotate, unrotate } from './rotation.ts';
import { checkCohort, checkRows, readMean, readWhole, roundingOf } from './slot.ts';
import type { Study } from './study.ts';

/** What one silo's training of one round gave. */
export interface LocalTraining {
  /** Trained minus starting parameters, clipped to the charter's norms, `[modelParameters]`. */
  readonly delta: Float32Array;
  /** Training rows. */
  readonly weight: number;
  /** Mean loss per row during the local training, not negative; counted as at most {@link LOSS_CAP}. */
  readonly trainLoss: number;
  /** The round's starting model on this silo's test rows. */
  readonly test: ScoredRows;
}

/** What an opened training round says. */
export interface TrainingSum {
  /** Training rows of all surviving silos; weightCap for each of them in a private study. */
  readonly weight: number;
  /** Null in a private study. */
  readonly trainLoss: number | null;
  /** Of the round's starting model; null in a private study. */
  readonly evaluation: Evaluation | null;
}

/**
 * The slots of one silo's vector in a training round. Throws DATA_TOO_FEW_ROWS,
 * STUDY_WEIGHT_TOO_LARGE or STUDY_VALUES_INVALID (a delta of another length, not finite or not
 * clipped; a loss that is negative or NaN).
 */
export function trainingValues(study: Study, charter: Charter, local: LocalTraining): SlotValues {
  const { weightCap } = charter.secureAggregation;
  const { delta, weight, trainLoss } = local;
  checkRows(weight, weightCap);
  checkCohort(weight, charter);
  if (!(trainLoss >= 0)) throw new MedleyError('STUDY_VALUES_INVALID', 'training loss is no loss');
  if (delta.length !== charter.modelParameters) {
    throw new MedleyError('STUDY_VALUES_INVALID', `update of ${delta.length} parameters`);
  }
  // In a private study all silos weigh the same: a weight would tell the number of patients.
  const counted = charter.privacy ? weightCap : weight;
  const share = counted / weightCap;
  const update = charter.secureAggregation.rotation
    ? rotate(charter, finiteUpdate(delta, share))
    : clippedUpdate(delta, share, charter.clipping.coordinate);
  if (charter.privacy) return { update, weight: Float64Array.of(counted) };
  return {
    update,
    weight: Float64Array.of(weight),
    trainLoss: Float64Array.of((share * Math.min(LOSS_CAP, trainLoss)) / LOSS_CAP),
    ...evaluationValues(study, charter, local.test),
  };
}

function clippedUpdate(delta: Float32Array, share: number, bound: number): Float64Array {
  // float32 may round a clipped coordinate up by half a unit in its last place.
  const tolerated = bound * (1 + 2 ** -23);
  const update = new Float64Array(delta.length);
  for (let i = 0; i < delta.length; i++) {
    const value = delta[i]!;
    if (!(Math.abs(value) <= tolerated)) {
      throw new MedleyError('STUDY_VALUES_INVALID', `parameter ${i} of the update is not clipped`);
    }
    update[i] = share * Math.min(bound, Math.max(-bound, value));
  }
  return update;
}

/** The quantiser clips the coordinates once they are rotated; before, only their norm is bounded. */
function finiteUpdate(delta: Float32Array, share: number): Float64Array {
  const update = new Float64Array(delta.length);
  for (let i = 0; i < delta.length; i++) {
    if (!Number.isFinite(delta[i])) {
      throw new MedleyError('STUDY_VALUES_INVALID', `parameter ${i} of the update is not finite`);
    }
    update[i] = share * delta[i]!;
  }
  return update;
}

/**
 * Reads an opened training round but for its update ({@link movedBy}). Throws STUDY_SUM_INVALID when
 * silos that clip to the charter cannot have made it.
 */
export function readTraining(study: Study, charter: Charter, decoded: DecodedSlots): TrainingSum {
  const { weightCap } = charter.secureAggregation;
  const weight = readWhole(decoded, 'weight', 1, charter.roster.length * weightCap);
  if (charter.privacy) return { weight, trainLoss: null, evaluation: null };
  const rounding = roundingOf(charter, weight);
  return {
    weight,
    trainLoss: LOSS_CAP * readMean(decoded, 'trainLoss', { charter, count: weight, rounding }),
    evaluation: readEvaluation(study, charter, decoded),
  };
}

/** The parameters after a round, and what moved them. */
export interface Moved {
  readonly parameters: Float32Array;
  /** L2 norm of the mean update. */
  readonly normL2: number;
}

/**
 * Each parameter plus its mean update, word × Δ × weightCap / weight, all in double precision in index
 * order and rounded once to float32: no vector is held between the sum and the parameters. Throws
 * STUDY_SUM_INVALID for a mean that is longer than clipping allows (a sum that is noise, because silos
 * saw different models, fails here) and for a parameter that leaves the range of float32.
 *
 * @param words the slot of the update in the opened sum.
 */
export function movedBy(
  parameters: Float32Array,
  words: Uint32Array,
  charter: Charter,
  { slot, weight }: { readonly slot: Slot; readonly weight: number },
): Moved {
  const { rotation } = charter.secureAggregation;
  const { means, normL2 } = rotation
    ? rotatedMeans(parameters.length, words, charter, { slot, weight })
    : { means: undefined, normL2: undefined };
  const { weightCap } = charter.secureAggregation;
  const step = slotStep(slot);
  const next = new Float32Array(parameters.length);
  let squares = 0;
  let isFinite = true;
  for (let i = 0; i < next.length; i++) {
    const mean = means ? means[i]! : ((words[i]! | 0) * step * weightCap) / weight;
    squares += mean * mean;
    const moved = Math.fround(parameters[i]! + mean);
    next[i] = moved;
    // Infinity and NaN are the numbers that differ from themselves when taken from themselves.
    isFinite &&= moved - moved === 0;
  }
  const norm = normL2 ?? Math.sqrt(squares);
  checkNorm(charter, norm, words.length, weightCap / weight);
  if (!isFinite) {
    throw new MedleyError('STUDY_SUM_INVALID', 'a parameter left the range of float32');
  }
  return { parameters: next, normL2: norm };
}

/** The mean update, turned back; its norm is that of all that was summed, padding included. */
function rotatedMeans(
  length: number,
  words: Uint32Array,
  charter: Charter,
  { slot, weight }: { readonly slot: Slot; readonly weight: number },
): { readonly means: Float64Array; readonly normL2: number } {
  const step = slotStep(slot);
  const { weightCap } = charter.secureAggregation;
  const rotated = Float64Array.from(words, (word) => ((word | 0) * step * weightCap) / weight);
  const norm = normL2(rotated);
  return { means: unrotate(charter, rotated, length), normL2: norm };
}

/** A weighted mean of vectors of norm ≤ C has norm ≤ C; rounding adds one step per silo and coordinate. */
function checkNorm(charter: Charter, normL2: number, length: number, factor: number): void {
  const { clipping, secureAggregation, roster } = charter;
  const step = clipping.coordinate / (2 ** (secureAggregation.bits - 1) - 1);
  const rounding = Math.sqrt(length) * roster.length * step * factor;
  // Skellam noise of d coordinates has length √(dμ) but for a few deviations of √μ.
  const { privacy } = charter;
  const deviation =
    privacy?.level === 'silo' ? Math.sqrt(roster.length * privacy.variance) * step * factor : 0;
  const noise = deviation * (Math.sqrt(length) + 10);
  // One part in a million covers the float32 rounding of clipped deltas.
  if (normL2 > clipping.normL2 * (1 + 1e-6) + rounding + noise) {
    throw new MedleyError('STUDY_SUM_INVALID', 'the mean update is longer than clipping allows');
  }
}

/** √Σx², summed in index order so that every machine gets the same bits. */
export function normL2(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}
