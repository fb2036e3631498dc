import type { Optimizer, SgdOptions, UpdateContext } from './optimizer.ts';
import { toFloat } from './optimizer.ts';

/** Options that are zero leave no trace in the graph. */
export function sgd(options: SgdOptions): Optimizer {
  const { momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
  return {
    slots: momentum === 0 ? [] : ['momentum_buffer'],
    hyperparameters: {
      ...(weightDecay === 0 ? {} : { weight_decay: weightDecay }),
      ...(momentum === 0 ? {} : { momentum }),
      ...(dampening === 0 ? {} : { dampening }),
    },
    update: (c) => {
      const { b, parameters, hyper } = c;
      const decay = hyper['weight_decay'];
      const decayed =
        decay === undefined
          ? c.gradient
          : b.op('Add', [c.gradient, b.op('Mul', [parameters, toFloat(b, decay)])]);
      const { direction, slots } = momentumStep({ ...c, gradient: decayed }, nesterov);
      const rate = toFloat(b, hyper['learning_rate']!);
      return { parameters: b.op('Sub', [parameters, b.op('Mul', [direction, rate])]), slots };
    },
  };
}

function momentumStep(
  { b, gradient, slots: [buffer], hyper, stepCount }: UpdateContext,
  nesterov: boolean,
) {
  const momentum = hyper['momentum'];
  if (buffer === undefined || momentum === undefined) return { direction: gradient, slots: [] };
  const kept = b.op('Mul', [buffer, toFloat(b, momentum)]);
  const next = b.op('Add', [kept, dampened()]);
  const ahead = (): typeof next =>
    b.op('Add', [gradient, b.op('Mul', [next, toFloat(b, momentum)])]);
  return { direction: nesterov ? ahead() : next, slots: [next] };

  // PyTorch starts the buffer with the whole first gradient, undampened.
  function dampened(): typeof gradient {
    const dampening = hyper['dampening'];
    if (dampening === undefined) return gradient;
    const isFirst = b.op('Equal', [
      stepCount,
      b.constant({ dtype: 'int64', dims: [], bytes: new Uint8Array(8) }),
    ]);
    const one = b.scalar(1, dampening);
    const share = b.op('Where', [isFirst, one, b.op('Sub', [one, dampening])]);
    return b.op('Mul', [gradient, toFloat(b, share)]);
  }
}
