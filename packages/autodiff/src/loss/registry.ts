import { MedleyError, sha256, toHex } from '@medley/kit';
import { bce, bceWithLogits, binaryFocal } from './binary.ts';
import { crossEntropy, focal, nll } from './classification.ts';
import type { Loss } from './loss.ts';
import { modelLoss } from './model.ts';
import { LOSSES, type LossName, type LossOptions, type LossRecord } from './options.ts';
import { dice, diceEntropy, tversky } from './overlap.ts';
import { cosineEmbedding, klDivergence } from './pairing.ts';
import { checkSettings } from './ranges.ts';
import { gaussianNll, huber, l1, mse, poissonNll, quantile, smoothL1 } from './regression.ts';
import { cox } from './survival.ts';

/**
 * The loss of that name or with those settings. Throws TRAINING_OPTIONS_INVALID for an unknown one and
 * for settings outside their ranges, and for a loss given as a model what reading it throws.
 */
export function lossOf(wanted: LossName | LossOptions): Loss {
  const options = settingsOf(wanted);
  checkSettings(options);
  switch (options.kind) {
    case 'mse':
      return mse(options);
    case 'l1':
      return l1(options);
    case 'bce':
      return bce(options);
    case 'huber':
      return huber(options);
    case 'smooth_l1':
      return smoothL1(options);
    case 'quantile':
      return quantile(options);
    case 'poisson_nll':
      return poissonNll(options);
    case 'gaussian_nll':
      return gaussianNll(options);
    case 'bce_with_logits':
      return bceWithLogits(options);
    case 'binary_focal':
      return binaryFocal(options);
    case 'cross_entropy':
      return crossEntropy(options);
    case 'nll':
      return nll(options);
    case 'focal':
      return focal(options);
    case 'dice':
      return dice(options);
    case 'tversky':
      return tversky(options);
    case 'dice_bce':
    case 'dice_ce':
      return diceEntropy(options);
    case 'cox':
      return cox(options);
    case 'kl_div':
      return klDivergence(options);
    case 'cosine_embedding':
      return cosineEmbedding(options);
    case 'onnx':
      return modelLoss(options);
  }
}

/** The loss as JSON for the manifest. */
export function lossRecord(wanted: LossName | LossOptions): LossRecord {
  if (typeof wanted === 'string') return wanted;
  if (wanted.kind !== 'onnx') return wanted;
  return { kind: 'onnx', modelSha256: toHex(sha256(wanted.model)) };
}

function settingsOf(wanted: LossName | LossOptions): LossOptions {
  const kind: unknown = typeof wanted === 'string' ? wanted : wanted.kind;
  if (!(LOSSES as readonly unknown[]).includes(kind) && kind !== 'onnx')
    throw new MedleyError('TRAINING_OPTIONS_INVALID', 'there is no such loss');
  // Every kind but `onnx`, which no name stands for, has defaults for all its settings.
  return typeof wanted === 'string' ? ({ kind: wanted } as LossOptions) : wanted;
}
