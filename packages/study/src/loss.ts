import { MedleyError } from '@medley/kit';

/** 1 / (1 + e^−x), without overflow for any logit. Throws STUDY_VALUES_INVALID for NaN. */
export function probabilityOf(logit: number): number {
  checkLogit(logit);
  const small = Math.exp(-Math.abs(logit));
  return logit >= 0 ? 1 / (1 + small) : small / (1 + small);
}

/**
 * Binomial negative log-likelihood of a label 0 or 1 under a logit: max(x, 0) − x·y + log(1 + e^−|x|).
 * Throws STUDY_VALUES_INVALID for a NaN logit or another label.
 */
export function binomialLoss(logit: number, label: number): number {
  checkLogit(logit);
  if (label !== 0 && label !== 1) {
    throw new MedleyError('STUDY_VALUES_INVALID', 'a label is neither 0 nor 1');
  }
  // An infinite logit on the right side costs nothing; Infinity − Infinity would be NaN.
  if (!Number.isFinite(logit)) return logit > 0 === (label === 1) ? 0 : Infinity;
  return Math.max(logit, 0) - logit * label + Math.log1p(Math.exp(-Math.abs(logit)));
}

/** Mean binomial loss per row; null for no rows. Throws as {@link binomialLoss} does. */
export function meanLoss(logits: ArrayLike<number>, labels: ArrayLike<number>): number | null {
  if (logits.length !== labels.length) {
    throw new MedleyError('STUDY_VALUES_INVALID', 'as many logits as labels are needed');
  }
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += binomialLoss(logits[i]!, labels[i]!);
  return logits.length === 0 ? null : sum / logits.length;
}

function checkLogit(logit: number): void {
  if (Number.isNaN(logit)) throw new MedleyError('STUDY_VALUES_INVALID', 'a logit is NaN');
}
