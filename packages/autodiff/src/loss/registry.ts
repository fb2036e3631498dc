import { BCE_WITH_LOGITS, CROSS_ENTROPY } from './classification.ts';
import type { Loss, LossName } from './loss.ts';
import { MSE } from './regression.ts';

/** Every loss by name. */
export const LOSS: Readonly<Record<LossName, Loss>> = {
  bce_with_logits: BCE_WITH_LOGITS,
  cross_entropy: CROSS_ENTROPY,
  mse: MSE,
};
