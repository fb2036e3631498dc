import { MedleyError } from '@medley/kit';
import type { LossOptions } from './options.ts';

type Check = (value: unknown) => boolean;

const number = (isInside: (x: number) => boolean): Check => {
  return (value) => typeof value === 'number' && Number.isFinite(value) && isInside(value);
};
const list = (check: Check): Check => {
  return (value) => Array.isArray(value) && value.length > 0 && value.every(check);
};
const either = (...checks: readonly Check[]): Check => {
  return (value) => checks.some((check) => check(value));
};
const oneOf = (...values: readonly unknown[]): Check => {
  return (value) => values.includes(value);
};

const flag = oneOf(true, false);
const above0 = number((x) => x > 0);
const from0 = number((x) => x >= 0);
const share = number((x) => x >= 0 && x <= 1);
const inside = number((x) => x > 0 && x < 1);
const whole = number(Number.isSafeInteger);
const reduction = oneOf('mean', 'sum');
const reduced = { reduction };
const classes = {
  reduction,
  classAxis: oneOf(-1, 1),
  classWeights: list(from0),
  ignoreIndex: whole,
};
const placed = {
  classAxis: oneOf(-1, 1),
  smooth: from0,
  over: oneOf('sample', 'batch'),
  perClass: flag,
  skipsBackground: flag,
};
const overlap = { ...placed, activation: oneOf('sigmoid', 'softmax', 'none') };
const diceShape = { squared: flag, generalised: flag };
const diceEntropy = { ...placed, ...diceShape, diceWeight: from0, entropyWeight: from0 };

const SETTINGS: Readonly<Record<LossOptions['kind'], Readonly<Record<string, Check>>>> = {
  mse: reduced,
  l1: reduced,
  bce: reduced,
  huber: { reduction, delta: above0 },
  smooth_l1: { reduction, beta: from0 },
  quantile: { reduction, quantile: either(inside, list(inside)) },
  poisson_nll: { reduction, logInput: flag, full: flag, epsilon: above0 },
  gaussian_nll: { reduction, full: flag, epsilon: above0, logVariance: flag },
  bce_with_logits: { reduction, positiveWeight: either(from0, list(from0)) },
  binary_focal: { reduction, gamma: from0, alpha: share },
  cross_entropy: { ...classes, labelSmoothing: share, softTargets: flag },
  nll: classes,
  focal: { ...classes, gamma: from0 },
  dice: { ...overlap, ...diceShape },
  tversky: { ...overlap, alpha: from0, beta: from0 },
  dice_bce: diceEntropy,
  dice_ce: diceEntropy,
  cox: {
    ties: oneOf('breslow', 'efron'),
    strata: number((x) => Number.isSafeInteger(x) && x >= 1 && x <= 4096),
  },
  kl_div: { logTarget: flag, reduction: oneOf('mean', 'batchmean', 'sum') },
  cosine_embedding: { reduction, margin: number((x) => x >= -1 && x <= 1) },
  onnx: { model: (value) => value instanceof Uint8Array },
};

/** Throws TRAINING_OPTIONS_INVALID for a setting the loss does not have or outside its range. */
export function checkSettings(options: LossOptions): void {
  const known = SETTINGS[options.kind];
  for (const [name, value] of Object.entries(options)) {
    if (name === 'kind' || value === undefined) continue;
    if (!Object.hasOwn(known, name)) {
      throw new MedleyError(
        'TRAINING_OPTIONS_INVALID',
        `the loss ${options.kind} has no "${name}"`,
      );
    }
    if (known[name]?.(value) !== true) {
      throw new MedleyError(
        'TRAINING_OPTIONS_INVALID',
        `"${name}" of the loss ${options.kind} is outside its range`,
      );
    }
  }
}
