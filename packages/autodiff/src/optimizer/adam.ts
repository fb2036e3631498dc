import type { Value } from '../graph/graph.ts';
import type { Builder } from '../graph/builder.ts';
import type { AdamOptions, Optimizer } from './optimizer.ts';
import { toFloat } from './optimizer.ts';

/**
 * Adam (Kingma and Ba 2015, algorithm 1, with ε outside the corrected root as in PyTorch) and AdamW
 * (Loshchilov and Hutter 2019, algorithm 2). The moments are the slots.
 */
export function adam(options: AdamOptions): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const weightDecay = options.weightDecay ?? (options.kind === 'adamw' ? 0.01 : 0);
  return {
    slots: ['first_moment', 'second_moment'],
    hyperparameters: {
      beta1,
      beta2,
      epsilon,
      ...(weightDecay === 0 ? {} : { weight_decay: weightDecay }),
    },
    update: ({ b, parameters, gradient, slots: [first, second], stepCount, hyper }) => {
      const rate = hyper['learning_rate']!;
      const decay = hyper['weight_decay'];
      let weights = parameters;
      let slope = gradient;
      if (decay !== undefined && options.kind === 'adamw') {
        const factor = b.op('Sub', [b.scalar(1, rate), b.op('Mul', [rate, decay])]);
        weights = b.op('Mul', [parameters, toFloat(b, factor)]);
      } else if (decay !== undefined) {
        slope = b.op('Add', [gradient, b.op('Mul', [parameters, toFloat(b, decay)])]);
      }
      const next = b.op('Cast', [b.op('Add', [stepCount, one(b)])], { to: 11 });
      const m = moment(b, first!, slope, hyper['beta1']!);
      const v = moment(b, second!, b.op('Mul', [slope, slope]), hyper['beta2']!);
      const root = b.op('Sqrt', [correction(b, hyper['beta2']!, next)]);
      const spread = b.op('Div', [b.op('Sqrt', [v]), toFloat(b, root)]);
      const divisor = b.op('Add', [spread, toFloat(b, hyper['epsilon']!)]);
      const step = toFloat(b, b.op('Div', [rate, correction(b, hyper['beta1']!, next)]));
      const move = b.op('Mul', [b.op('Div', [m, divisor]), step]);
      return { parameters: b.op('Sub', [weights, move]), slots: [m, v] };
    },
  };
}

/** β·before + (1 − β)·now. */
function moment(b: Builder, before: Value, now: Value, beta: Value): Value {
  const rest = toFloat(b, b.op('Sub', [b.scalar(1, beta), beta]));
  return b.op('Add', [b.op('Mul', [before, toFloat(b, beta)]), b.op('Mul', [now, rest])]);
}

/** 1 − β^t in double. */
function correction(b: Builder, beta: Value, step: Value): Value {
  return b.op('Sub', [b.scalar(1, beta), b.op('Pow', [beta, step])]);
}

function one(b: Builder): Value {
  return b.constant({ dtype: 'int64', dims: [], bytes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) });
}
