import { MedleyError } from '@medley/kit';
import { adam } from './adam.ts';
import type { Optimizer, OptimizerOptions } from './optimizer.ts';
import { sgd } from './sgd.ts';

/** The optimizer for `options`. Throws TRAINING_OPTIONS_INVALID outside the ranges PyTorch accepts. */
export function optimizerOf(options: OptimizerOptions): Optimizer {
  const bound = (name: string, value: number | undefined, below: number): void => {
    if (value !== undefined && !(value >= 0 && value < below)) {
      throw new MedleyError(
        'TRAINING_OPTIONS_INVALID',
        `${name} of ${options.kind} must be in [0, ${below})`,
      );
    }
  };
  bound('weightDecay', options.weightDecay, Infinity);
  switch (options.kind) {
    case 'sgd':
      bound('momentum', options.momentum, Infinity);
      bound('dampening', options.dampening, Infinity);
      if (
        options.nesterov === true &&
        ((options.momentum ?? 0) === 0 || (options.dampening ?? 0) !== 0)
      ) {
        throw new MedleyError(
          'TRAINING_OPTIONS_INVALID',
          'nesterov takes a momentum and no dampening',
        );
      }
      return sgd(options);
    case 'adam':
    case 'adamw':
      bound('beta1', options.beta1, 1);
      bound('beta2', options.beta2, 1);
      bound('epsilon', options.epsilon, Infinity);
      return adam(options);
    default:
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `there is no such optimizer`);
  }
}
