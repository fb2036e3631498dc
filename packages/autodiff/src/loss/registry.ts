import { MedleyError, sha256, toHex } from '@medley/kit';
import { bce, bceWithLogits, binaryFocal } from './binary.ts';
import { crossEntropy, focal, nll } from './classification.ts';
import type { Loss } from './loss.ts';
import { modelLoss } from './model.ts';
import {
  LOSSES,
  type LossName,
  type LossOf,
  type LossOptions,
  type LossRecord,
} from './options.ts';
import { dice, diceEntropy, tversky } from './overlap.ts';
import { cosineEmbedding, klDivergence } from './pairing.ts';
import { checkSettings } from './ranges.ts';
import { gaussianNll, huber, l1, mse, poissonNll, quantile, smoothL1 } from './regression.ts';
import { cox } from './survival.ts';

const MAKERS: { readonly [Kind in LossOptions['kind']]: (options: LossOf<Kind>) => Loss } = {
  mse,
  l1,
  bce,
  huber,
  smooth_l1: smoothL1,
  quantile,
  poisson_nll: poissonNll,
  gaussian_nll: gaussianNll,
  bce_with_logits: bceWithLogits,
  binary_focal: binaryFocal,
  cross_entropy: crossEntropy,
  nll,
  focal,
  dice,
  tversky,
  dice_bce: diceEntropy,
  dice_ce: diceEntropy,
  cox,
  kl_div: klDivergence,
  cosine_embedding: cosineEmbedding,
  onnx: modelLoss,
};

/**
 * The loss of that name or with those settings. Throws TRAINING_OPTIONS_INVALID for an unknown one and
 * for settings outside their ranges, and for a loss given as a model what reading it throws.
 */
export function lossOf(wanted: LossName | LossOptions): Loss {
  const options = settingsOf(wanted);
  checkSettings(options);
  // The table gives each kind the maker for its own settings.
  return (MAKERS[options.kind] as (settings: LossOptions) => Loss)(options);
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
  return typeof wanted === 'string' ? { kind: wanted } : wanted;
}
