import { MedleyError } from '@medley/kit';
import { adam, lamb, lion, yogi } from './adam.ts';
import type { GradientOptions, Optimizer, OptimizerOptions } from './optimizer.ts';
import { sgd } from './sgd.ts';
import { shaped } from './shaping.ts';
import { adagrad, rmsprop } from './squares.ts';

/** Settings by kind, each a number in [0, bound) or a flag. */
const SETTINGS: Readonly<
  Record<OptimizerOptions['kind'], Readonly<Record<string, number | 'flag'>>>
> = {
  sgd: { momentum: Infinity, dampening: Infinity, nesterov: 'flag', weightDecay: Infinity },
  adam: { beta1: 1, beta2: 1, epsilon: Infinity, weightDecay: Infinity, amsgrad: 'flag' },
  adamw: { beta1: 1, beta2: 1, epsilon: Infinity, weightDecay: Infinity, amsgrad: 'flag' },
  adagrad: {
    rateDecay: Infinity,
    initialAccumulator: Infinity,
    epsilon: Infinity,
    weightDecay: Infinity,
  },
  rmsprop: {
    alpha: 1,
    epsilon: Infinity,
    momentum: Infinity,
    centered: 'flag',
    weightDecay: Infinity,
  },
  yogi: {
    beta1: 1,
    beta2: 1,
    epsilon: Infinity,
    initialAccumulator: Infinity,
    weightDecay: Infinity,
  },
  lamb: { beta1: 1, beta2: 1, epsilon: Infinity, weightDecay: Infinity },
  lion: { beta1: 1, beta2: 1, weightDecay: Infinity },
};

/**
 * The optimizer for `options`, on a gradient shaped by `gradient`. Throws TRAINING_OPTIONS_INVALID for
 * an unknown kind or setting and outside the ranges PyTorch accepts.
 */
export function optimizerOf(options: OptimizerOptions, gradient: GradientOptions = {}): Optimizer {
  checkOptimizer(options);
  checkGradient(gradient);
  return shaped(plainOptimizer(options), gradient);
}

function plainOptimizer(options: OptimizerOptions): Optimizer {
  switch (options.kind) {
    case 'sgd':
      return sgd(options);
    case 'adam':
    case 'adamw':
      return adam(options);
    case 'adagrad':
      return adagrad(options);
    case 'rmsprop':
      return rmsprop(options);
    case 'yogi':
      return yogi(options);
    case 'lamb':
      return lamb(options);
    case 'lion':
      return lion(options);
  }
}

function checkOptimizer(options: OptimizerOptions): void {
  if (!Object.hasOwn(SETTINGS, options.kind)) throw refused('there is no such optimizer');
  const known = SETTINGS[options.kind];
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (name === 'kind' || value === undefined) continue;
    const bound = Object.hasOwn(known, name) ? known[name] : undefined;
    if (bound === undefined) throw refused(`${options.kind} has no "${name}"`);
    if (bound === 'flag') {
      if (typeof value !== 'boolean') throw refused(`${name} of ${options.kind} is true or false`);
    } else if (!(typeof value === 'number' && value >= 0 && value < bound)) {
      throw refused(`${name} of ${options.kind} must be in [0, ${bound})`);
    }
  }
  if (options.kind === 'sgd' && options.nesterov === true) {
    const { momentum = 0, dampening = 0 } = options;
    if (momentum === 0 || dampening !== 0)
      throw refused('nesterov takes a momentum and no dampening');
  }
}

function checkGradient({ clip, proximal }: GradientOptions): void {
  if (clip !== undefined) {
    if (!['value', 'norm', 'tensorNorm'].includes(clip.kind))
      throw refused('there is no such clipping');
    if (!(clip.limit > 0 && clip.limit < Infinity)) throw refused('the clip limit must be above 0');
  }
  if (proximal !== undefined && !(proximal.mu >= 0 && proximal.mu < Infinity))
    throw refused('mu of the proximal term must be from 0');
}

function refused(message: string): MedleyError {
  return new MedleyError('TRAINING_OPTIONS_INVALID', message);
}
