import { MedleyError, type Json } from '@medley/kit';
import { decodeSum } from '@medley/secagg';
import type { Charter } from './charter.ts';
import { readEvaluation, type Evaluation } from './evaluation.ts';
import type { ModelState } from './modelState.ts';
import { layoutFor, type RoundKind } from './plan.ts';
import { readStatistics, standardisationFrom } from './statistics.ts';
import type { Study } from './study.ts';
import { movedBy, readTraining } from './training.ts';

/** A round's opened sum and what it is applied to. */
export interface RoundOutcome {
  readonly study: Study;
  readonly charter: Charter;
  readonly kind: RoundKind;
  /** The state that the round started from; not changed. */
  readonly state: ModelState;
  /** Σ over the survivors, one 32-bit word per coordinate of the layout. */
  readonly sum: Uint32Array;
}

/**
 * The model state after a round and the round's federated figures. The same bits on every machine:
 * aggregator and silos compute it each for themselves and compare hashes. Only +, −, ×, ÷ and √ of
 * IEEE 754 doubles in index order, rounded to float32 once per parameter.
 *
 * Statistics set the standardisation, training applies the weighted mean of the updates (FedAvg,
 * McMahan et al. 2017), evaluation leaves the state as it is. Throws STUDY_SUM_INVALID when honest
 * silos cannot have made the sum, MODEL_STATE_INVALID when the state is not of this study's model.
 */
export function nextState(outcome: RoundOutcome): {
  readonly state: ModelState;
  readonly metrics: Json;
} {
  const { study, charter, kind, state, sum } = outcome;
  if (state.parameters.length !== charter.modelParameters) {
    throw new MedleyError('MODEL_STATE_INVALID', `state of ${state.parameters.length} parameters`);
  }
  const layout = layoutFor(study, charter, kind);
  const words = layout.reduce((length, slot) => length + slot.length, 0);
  if (sum.length !== words) {
    throw new MedleyError('STUDY_SUM_INVALID', `a sum of ${sum.length} words, not ${words}`);
  }
  switch (kind) {
    case 'statistics': {
      const statistics = readStatistics(study, charter, decodeSum(layout, sum));
      return {
        state: { ...state, standardisation: standardisationFrom(study, statistics) },
        metrics: {
          kind,
          count: statistics.count,
          mean: Array.from(statistics.mean),
          scale: Array.from(statistics.scale),
        },
      };
    }
    case 'training': {
      const [slot, ...rest] = layout;
      if (slot?.name !== 'update') {
        throw new MedleyError('STUDY_SUM_INVALID', 'a training vector begins with the update');
      }
      const decoded = decodeSum(rest, sum.subarray(slot.length));
      const { weight, trainLoss, evaluation } = readTraining(study, charter, decoded);
      const update = sum.subarray(0, slot.length);
      const moved = movedBy(state.parameters, update, charter, { slot, weight });
      return {
        state: { ...state, parameters: moved.parameters },
        metrics: {
          kind,
          weight,
          ...(trainLoss !== null && { trainLoss }),
          updateNorm: moved.normL2,
          ...(evaluation && { evaluation: evaluationJson(evaluation) }),
        },
      };
    }
    case 'evaluation':
      return {
        state,
        metrics: {
          kind,
          evaluation: evaluationJson(readEvaluation(study, charter, decodeSum(layout, sum))),
        },
      };
  }
}

function evaluationJson({ count, loss, auc, brier, histogram }: Evaluation): Json {
  const { positives, negatives } = histogram;
  return { count, loss, auc, brier, histogram: { positives, negatives } };
}
