import { auc, brier, meanLoss, probabilityOf } from '@medley/study';
import type { LocalMetrics } from './work.ts';

/**
 * Exact figures of one model on rows of this site: one logit and one label (0 or 1) a row. Throws
 * STUDY_VALUES_INVALID for NaN or other labels.
 */
export function metricsOf(logits: ArrayLike<number>, labels: ArrayLike<number>): LocalMetrics {
  const probabilities = Float64Array.from(logits, probabilityOf);
  return {
    count: labels.length,
    // Zero rows have no loss; a dataset with test rows is checked for before any work.
    loss: meanLoss(logits, labels) ?? 0,
    auc: auc(logits, labels),
    brier: brier(probabilities, labels) ?? 0,
  };
}
