import type { AdagradOptions, Optimizer, RmspropOptions } from './optimizer.ts';
import { blend, decayed, oneMinus, toFloats, unlessZero } from './optimizer.ts';

/** Adagrad: the rate of each weight falls with the root of the sum of its squared gradients. */
export function adagrad(options: AdagradOptions): Optimizer {
  const { rateDecay, initialAccumulator = 0, epsilon = 1e-10, weightDecay } = options;
  return {
    slots: ['sum_of_squares'],
    leavesOut: epsilon > 0 && !(Number(weightDecay) > 0) ? 'exact' : 'lazy',
    ...(initialAccumulator === 0 ? {} : { starts: { sum_of_squares: initialAccumulator } }),
    hyperparameters: {
      epsilon,
      ...unlessZero('rate_decay', rateDecay),
      ...unlessZero('weight_decay', weightDecay),
    },
    numbers: (b, hyper, t) => {
      const { rate_decay: decay, learning_rate: rate, ...rest } = hyper;
      if (decay === undefined) return toFloats(b, { ...rest, learning_rate: rate! });
      const before = b.op('Mul', [b.op('Sub', [t, b.scalar(1, t)]), decay]);
      const slower = b.op('Div', [rate, b.op('Add', [before, b.scalar(1, t)])]);
      return toFloats(b, { ...rest, learning_rate: slower });
    },
    update: (c) => {
      const { b, numbers, slots } = c;
      const gradient = decayed(c);
      const sum = b.op('Add', [slots[0], b.op('Mul', [gradient, gradient])]);
      const divisor = b.op('Add', [b.op('Sqrt', [sum]), numbers['epsilon']]);
      const move = b.op('Div', [b.op('Mul', [gradient, numbers['learning_rate']]), divisor]);
      return { parameters: b.op('Sub', [c.parameters, move]), slots: [sum] };
    },
  };
}

/** RMSprop: gradients divided by their running root mean square or standard deviation. */
export function rmsprop(options: RmspropOptions): Optimizer {
  const { alpha = 0.99, epsilon = 1e-8, momentum = 0, centered = false, weightDecay } = options;
  return {
    leavesOut: 'lazy',
    slots: [
      'mean_square',
      ...(centered ? ['mean_gradient'] : []),
      ...(momentum === 0 ? [] : ['momentum_buffer']),
    ],
    hyperparameters: {
      alpha,
      epsilon,
      ...unlessZero('momentum', momentum),
      ...unlessZero('weight_decay', weightDecay),
    },
    numbers: (b, hyper) => toFloats(b, { ...hyper, rest: oneMinus(b, hyper['alpha']!) }),
    update: (c) => {
      const { b, numbers, slots } = c;
      const gradient = decayed(c);
      const shares = [numbers['alpha']!, numbers['rest']!] as const;
      const square = blend(b, slots[0]!, b.op('Mul', [gradient, gradient]), shares);
      const mean = centered ? blend(b, slots[1]!, gradient, shares) : undefined;
      // Relu: the difference is never negative but for rounding.
      const spread =
        mean === undefined
          ? square
          : b.op('Relu', [b.op('Sub', [square, b.op('Mul', [mean, mean])])]);
      const divisor = b.op('Add', [b.op('Sqrt', [spread]), numbers['epsilon']]);
      const scaled = b.op('Div', [gradient, divisor]);
      const buffer =
        momentum === 0
          ? undefined
          : b.op('Add', [b.op('Mul', [slots.at(-1), numbers['momentum']]), scaled]);
      const move = b.op('Mul', [buffer ?? scaled, numbers['learning_rate']]);
      const next = [square, mean, buffer].filter((slot) => slot !== undefined);
      return { parameters: b.op('Sub', [c.parameters, move]), slots: next };
    },
  };
}
