import { MedleyError } from '@medley/kit';

/**
 * Area under the ROC curve of `scores` for labels 0 and 1: the share of (positive, negative) pairs in
 * the right order, ties counting one half (Hanley and McNeil 1982). Null when one class is absent.
 * Throws STUDY_VALUES_INVALID when lengths differ or a score is NaN.
 */
export function auc(scores: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  checkPairs(scores, labels);
  const order = Array.from({ length: scores.length }, (_, i) => i).sort(
    (a, b) => scores[a]! - scores[b]!,
  );
  let negativesBelow = 0;
  let positives = 0;
  // Twice the number of ordered pairs, so that ties stay whole numbers.
  let twice = 0;
  for (let start = 0; start < order.length;) {
    let end = start;
    let tiedPositives = 0;
    const score = scores[order[start]!]!;
    while (end < order.length && scores[order[end]!] === score) {
      if (labels[order[end]!] === 1) tiedPositives++;
      end++;
    }
    const tiedNegatives = end - start - tiedPositives;
    twice += tiedPositives * (2 * negativesBelow + tiedNegatives);
    positives += tiedPositives;
    negativesBelow += tiedNegatives;
    start = end;
  }
  return ratio(twice, positives, negativesBelow);
}

/**
 * The same area from two histograms over the same ascending score bins; pairs within one bin count
 * one half, so it is off the exact value by at most half the share of such pairs. Null when one
 * class is absent.
 */
export function aucFromHistogram(
  positives: ArrayLike<number>,
  negatives: ArrayLike<number>,
): number | null {
  if (positives.length !== negatives.length) {
    throw new MedleyError('STUDY_VALUES_INVALID', 'histograms of different length');
  }
  let twice = 0;
  let negativesBelow = 0;
  let positivesBelow = 0;
  for (let bin = 0; bin < positives.length; bin++) {
    twice += positives[bin]! * (2 * negativesBelow + negatives[bin]!);
    negativesBelow += negatives[bin]!;
    positivesBelow += positives[bin]!;
  }
  return ratio(twice, positivesBelow, negativesBelow);
}

/**
 * Mean squared difference of probability and label (Brier 1950), null for no rows. Throws
 * STUDY_VALUES_INVALID when lengths differ or a probability is NaN.
 */
export function brier(probabilities: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  checkPairs(probabilities, labels);
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) sum += (probabilities[i]! - labels[i]!) ** 2;
  return probabilities.length === 0 ? null : sum / probabilities.length;
}

function ratio(twice: number, positives: number, negatives: number): number | null {
  return positives === 0 || negatives === 0 ? null : twice / (2 * positives * negatives);
}

function checkPairs(scores: ArrayLike<number>, labels: ArrayLike<number>): void {
  if (scores.length !== labels.length) {
    throw new MedleyError('STUDY_VALUES_INVALID', 'as many scores as labels are needed');
  }
  for (let i = 0; i < scores.length; i++) {
    if (Number.isNaN(scores[i])) throw new MedleyError('STUDY_VALUES_INVALID', `score ${i} is NaN`);
    if (labels[i] !== 0 && labels[i] !== 1) {
      throw new MedleyError('STUDY_VALUES_INVALID', `label ${i} is neither 0 nor 1`);
    }
  }
}
