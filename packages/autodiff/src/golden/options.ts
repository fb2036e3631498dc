import type { LossName, LossOptions } from '../loss/loss.ts';
import type { GradientOptions, OptimizerOptions } from '../optimizer/optimizer.ts';
import type { GoldenCase } from './case.ts';

/** Losses under the names that recordings use beside our own, without a trailing `_loss`. */
const LOSS_NAMES: Readonly<Record<string, LossName | LossOptions>> = {
  bce: 'bce',
  bce_dice: 'dice_bce',
  bce_with_logits: 'bce_with_logits',
  ce: 'cross_entropy',
  ce_dice: 'dice_ce',
  cox: 'cox',
  cox_ph: 'cox',
  cross_entropy: 'cross_entropy',
  dice: 'dice',
  dice_bce: 'dice_bce',
  dice_ce: 'dice_ce',
  focal: 'focal',
  gaussian_nll: 'gaussian_nll',
  huber: 'huber',
  kl_div: 'kl_div',
  l1: 'l1',
  mae: 'l1',
  mse: 'mse',
  nll: 'nll',
  pinball: 'quantile',
  poisson: 'poisson_nll',
  poisson_nll: 'poisson_nll',
  quantile: 'quantile',
  sigmoid_focal: { kind: 'binary_focal', alpha: 0.25 },
  smooth_l1: 'smooth_l1',
  tversky: 'tversky',
};

/** The recorded loss under our name; undefined for one that does not exist here. */
export function lossOf({ loss }: Pick<GoldenCase, 'loss'>): LossName | LossOptions | undefined {
  const name = loss.toLowerCase().replace(/_loss$/, '');
  return Object.hasOwn(LOSS_NAMES, name) ? LOSS_NAMES[name] : undefined;
}

/**
 * The loss with its classes where a recording may have them, the likeliest first: on the last axis, as
 * the recordings say, but on axis 1 where labels [rows, height, width] are those of an image.
 */
export function classAxes(
  loss: LossName | LossOptions,
  labelRank: number,
): readonly (LossName | LossOptions)[] {
  const kind = typeof loss === 'string' ? loss : loss.kind;
  switch (kind) {
    case 'cross_entropy':
    case 'nll':
    case 'focal':
      return (labelRank > 2 ? ([1, -1] as const) : ([-1, 1] as const)).map((classAxis) => ({
        kind,
        classAxis,
      }));
    default:
      return [loss];
  }
}

/** The settings of torch.optim under our names, where they are given; flags only where they are set. */
const SETTINGS: Readonly<Record<string, string>> = {
  alpha: 'alpha',
  amsgrad: 'amsgrad',
  centered: 'centered',
  dampening: 'dampening',
  eps: 'epsilon',
  initial_accumulator_value: 'initialAccumulator',
  lr_decay: 'rateDecay',
  momentum: 'momentum',
  nesterov: 'nesterov',
  weight_decay: 'weightDecay',
};

const OPTIMIZERS: Readonly<Record<string, OptimizerOptions['kind']>> = {
  adagrad: 'adagrad',
  adam: 'adam',
  adamw: 'adamw',
  amsgrad: 'adam',
  lamb: 'lamb',
  lion: 'lion',
  momentum: 'sgd',
  rmsprop: 'rmsprop',
  sgd: 'sgd',
  yogi: 'yogi',
};

/** The recorded optimizer under our names; undefined for one that does not exist here. */
export function optimizerOf({
  optimizer,
  hyperparameters,
}: Pick<GoldenCase, 'optimizer' | 'hyperparameters'>): OptimizerOptions | undefined {
  const name = optimizer.toLowerCase();
  const kind = Object.hasOwn(OPTIMIZERS, name) ? OPTIMIZERS[name] : undefined;
  if (kind === undefined || hyperparameters['maximize'] === true) return undefined;
  const settings: Record<string, number | boolean> = {};
  for (const [theirs, ours] of Object.entries(SETTINGS)) {
    const value = hyperparameters[theirs];
    if (typeof value === 'number' || value === true) settings[ours] = value;
  }
  const betas = hyperparameters['betas'];
  if (Array.isArray(betas)) {
    settings['beta1'] = Number(betas[0]);
    settings['beta2'] = Number(betas[1]);
  }
  if (name === 'amsgrad') settings['amsgrad'] = true;
  // What the optimizer does not have is refused when it is built.
  return { kind, ...settings };
}

/** The recorded bound on the gradient's norm, if there is one. */
export function gradientOptionsOf({
  hyperparameters,
}: Pick<GoldenCase, 'hyperparameters'>): GradientOptions {
  const names = ['clip_grad_norm', 'clip_norm', 'max_norm', 'max_grad_norm'];
  const limit = names.map((name) => hyperparameters[name]).find((value) => value !== undefined);
  return typeof limit === 'number' ? { clip: { kind: 'norm', limit } } : {};
}
