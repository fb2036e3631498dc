import { MedleyError } from '@medley/kit';
import { aucFromHistogram } from './auc.ts';
import type { Charter } from './charter.ts';
import { LOSS_CAP, type DecodedSlots, type SlotValues } from './plan.ts';
import { binomialLoss, probabilityOf } from './loss.ts';
import type { Study } from './study.ts';
import { checkRows, readMean, readWhole, roundingOf } from './slot.ts';

/** The model's answers on one silo's test rows. */
export interface ScoredRows {
  /** One logit per row. */
  readonly logits: ArrayLike<number>;
  /** 0 or 1 per row. */
  readonly labels: ArrayLike<number>;
}

/** Federated evaluation of one model over the test rows of every surviving silo. */
export interface Evaluation {
  /** Test rows. */
  readonly count: number;
  /** Mean loss per row, each capped at {@link LOSS_CAP}; null for no rows. */
  readonly loss: number | null;
  /** From the score histogram (see {@link aucFromHistogram}); null when one class is absent. */
  readonly auc: number | null;
  /** Mean squared error of the probability; null for no rows. */
  readonly brier: number | null;
  /** Rows per bin of predicted probability, ascending, `[scoreBins]` each. */
  readonly histogram: {
    readonly positives: readonly number[];
    readonly negatives: readonly number[];
  };
}

/** Bin of a probability in [0, 1] among `bins` equal ones; 1 falls into the last. */
export function scoreBin(probability: number, bins: number): number {
  return Math.min(bins - 1, Math.floor(probability * bins));
}

/**
 * The evaluation slots of one silo's vector. Throws STUDY_VALUES_INVALID (a logit is NaN, lengths
 * differ, a label is neither 0 nor 1) or STUDY_WEIGHT_TOO_LARGE.
 */
export function evaluationValues(study: Study, charter: Charter, test: ScoredRows): SlotValues {
  const { logits, labels } = test;
  const { weightCap } = charter.secureAggregation;
  checkRows(labels.length, weightCap);
  if (logits.length !== labels.length) {
    throw new MedleyError('STUDY_VALUES_INVALID', 'as many logits as labels are needed');
  }
  const bins = study.evaluation.scoreBins;
  const positives = new Float64Array(bins);
  const negatives = new Float64Array(bins);
  let loss = 0;
  let squares = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    loss += Math.min(LOSS_CAP, binomialLoss(logits[i]!, label));
    const probability = probabilityOf(logits[i]!);
    squares += (probability - label) ** 2;
    const histogram = label === 1 ? positives : negatives;
    histogram[scoreBin(probability, bins)]! += 1;
  }
  return {
    testCount: Float64Array.of(labels.length),
    testLoss: Float64Array.of(loss / (LOSS_CAP * weightCap)),
    brier: Float64Array.of(squares / weightCap),
    positives,
    negatives,
  };
}

/**
 * Reads the evaluation slots of an opened sum. Throws STUDY_SUM_INVALID when honest silos cannot have
 * made it: negative or broken counts, histograms that do not add up, a loss beyond its cap.
 */
export function readEvaluation(study: Study, charter: Charter, decoded: DecodedSlots): Evaluation {
  const { weightCap } = charter.secureAggregation;
  const most = charter.roster.length * weightCap;
  const count = readWhole(decoded, 'testCount', 0, most);
  const bins = study.evaluation.scoreBins;
  const positives = readHistogram(decoded, 'positives', bins, most);
  const negatives = readHistogram(decoded, 'negatives', bins, most);
  const inBins = [...positives, ...negatives].reduce((sum, rows) => sum + rows, 0);
  if (inBins !== count) {
    throw new MedleyError('STUDY_SUM_INVALID', 'score histograms and count of test rows disagree');
  }
  const rounding = roundingOf(charter, count);
  return {
    count,
    loss:
      count === 0 ? null : LOSS_CAP * readMean(decoded, 'testLoss', { charter, count, rounding }),
    auc: aucFromHistogram(positives, negatives),
    brier: count === 0 ? null : readMean(decoded, 'brier', { charter, count, rounding }),
    histogram: { positives, negatives },
  };
}

function readHistogram(
  decoded: DecodedSlots,
  name: 'positives' | 'negatives',
  bins: number,
  most: number,
): number[] {
  return Array.from({ length: bins }, (_, bin) => readWhole(decoded, name, 0, most, bin));
}
