import type { Optimizer, SgdOptions, UpdateContext } from './optimizer.ts';
import { decayed, oneMinus, toFloats, unlessZero } from './optimizer.ts';

/** Options that are zero leave no trace in the graph. */
export function sgd(options: SgdOptions): Optimizer {
  const { momentum = 0, dampening = 0, nesterov = false } = options;
  return {
    slots: momentum === 0 ? [] : ['momentum_buffer'],
    leavesOut: momentum === 0 && !(Number(options.weightDecay) > 0) ? 'exact' : 'lazy',
    hyperparameters: {
      ...unlessZero('weight_decay', options.weightDecay),
      ...unlessZero('momentum', momentum),
      ...(momentum === 0 ? {} : unlessZero('dampening', dampening)),
    },
    numbers: (b, hyper, t) => {
      const { dampening: part, ...plain } = hyper;
      if (part === undefined) return toFloats(b, plain);
      // PyTorch starts the buffer with the whole first gradient, undampened.
      const isFirst = b.op('Equal', [t, b.scalar(1, t)]);
      const share = b.op('Where', [isFirst, b.scalar(1, t), oneMinus(b, part)]);
      return toFloats(b, { ...plain, share });
    },
    update: (c) => {
      const { direction, slots } = momentumStep({ ...c, gradient: decayed(c) }, nesterov);
      const move = c.b.op('Mul', [direction, c.numbers['learning_rate']]);
      return { parameters: c.b.op('Sub', [c.parameters, move]), slots };
    },
  };
}

function momentumStep({ b, gradient, slots: [buffer], numbers }: UpdateContext, nesterov: boolean) {
  const { momentum, share } = numbers;
  if (buffer === undefined || momentum === undefined) return { direction: gradient, slots: [] };
  const part = share === undefined ? gradient : b.op('Mul', [gradient, share]);
  const next = b.op('Add', [b.op('Mul', [buffer, momentum]), part]);
  const direction = nesterov ? b.op('Add', [gradient, b.op('Mul', [next, momentum])]) : next;
  return { direction, slots: [next] };
}
