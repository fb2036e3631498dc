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
  if (charter.privacy) return { positives, negatives };
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
  if (charter.privacy) return readNoised(study, charter, decoded);
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

/**
 * Federated figures from two noised histograms alone: what is computed from them costs no further
 * privacy. A row counts at the middle of its bin, a bin of negative count as empty (for the AUC, whose
 * noise then has mean 0, as it is). Throws STUDY_SUM_INVALID for what rows and noise cannot make.
 */
function readNoised(study: Study, charter: Charter, decoded: DecodedSlots): Evaluation {
  const bins = study.evaluation.scoreBins;
  const { weightCap } = charter.secureAggregation;
  const most = charter.roster.length * weightCap * 2;
  const signed = (name: 'positives' | 'negatives'): number[] =>
    Array.from({ length: bins }, (_, bin) => readWhole(decoded, name, -most, most, bin));
  const [plus, minus] = [signed('positives'), signed('negatives')];
  const [positives, negatives] = [plus, minus].map((bin) => bin.map((count) => Math.max(0, count)));
  let [count, loss, squares] = [0, 0, 0];
  const add = (rows: number, bin: number, label: 0 | 1): void => {
    const probability = (bin + 0.5) / bins;
    count += rows;
    loss += rows * binomialLoss(Math.log(probability / (1 - probability)), label);
    squares += rows * (probability - label) ** 2;
  };
  positives!.forEach((rows, bin) => add(rows, bin, 1));
  negatives!.forEach((rows, bin) => add(rows, bin, 0));
  return {
    count,
    loss: count === 0 ? null : loss / count,
    auc: noisedAuc(plus, minus),
    brier: count === 0 ? null : squares / count,
    histogram: { positives: positives!, negatives: negatives! },
  };
}

function noisedAuc(positives: readonly number[], negatives: readonly number[]): number | null {
  const total = (counts: readonly number[]): number => counts.reduce((sum, one) => sum + one, 0);
  if (total(positives) <= 0 || total(negatives) <= 0) return null;
  const auc = aucFromHistogram(positives, negatives);
  return auc === null ? null : Math.min(1, Math.max(0, auc));
}
