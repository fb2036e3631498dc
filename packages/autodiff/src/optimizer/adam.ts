import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type {
  AdamOptions,
  LambOptions,
  LionOptions,
  Numbers,
  Optimizer,
  UpdateContext,
  YogiOptions,
} from './optimizer.ts';
import { blend, decayed, oneMinus, toFloats, unlessZero } from './optimizer.ts';
import { perTensor, tensorNorms } from './tensors.ts';

const MOMENTS = ['first_moment', 'second_moment'] as const;

/**
 * Adam (Kingma and Ba 2015, algorithm 1, with ε outside the corrected root as in PyTorch), AdamW
 * (Loshchilov and Hutter 2019, algorithm 2) and AMSGrad. The moments are the slots.
 */
export function adam(options: AdamOptions): Optimizer {
  const { amsgrad = false, kind } = options;
  const weightDecay = options.weightDecay ?? (kind === 'adamw' ? 0.01 : 0);
  return {
    leavesOut: 'lazy',
    slots: amsgrad ? [...MOMENTS, 'greatest_second_moment'] : MOMENTS,
    hyperparameters: hyperparameters(options, { epsilon: 1e-8, weightDecay }),
    numbers: (b, hyper, t) => {
      const isApart = kind === 'adamw' && hyper['weight_decay'] !== undefined;
      const shrink = isApart ? { shrink: shrinkage(b, hyper) } : {};
      return toFloats(b, { ...momentNumbers(b, hyper, t), ...shrink });
    },
    update: (c) => {
      const { b, numbers, slots } = c;
      const [m, v] = moments(c, kind === 'adamw' ? c.gradient : decayed(c));
      const greatest = amsgrad ? b.op('Max', [slots[2], v]) : undefined;
      const step = b.op('Mul', [adaptive(c, m, greatest ?? v), numbers['step_size']]);
      const next = greatest === undefined ? [m, v] : [m, v, greatest];
      return { parameters: b.op('Sub', [shrunk(c), step]), slots: next };
    },
  };
}

/** Yogi: the second moment moves by at most (1 − β₂)·g², towards g². */
export function yogi(options: YogiOptions): Optimizer {
  const { initialAccumulator = 1e-6, weightDecay } = options;
  return {
    leavesOut: 'lazy',
    slots: MOMENTS,
    ...(initialAccumulator === 0 ? {} : { starts: { second_moment: initialAccumulator } }),
    hyperparameters: hyperparameters(options, { epsilon: 1e-3, weightDecay }),
    numbers: (b, hyper, t) => toFloats(b, momentNumbers(b, hyper, t)),
    update: (c) => {
      const { b, numbers, slots } = c;
      const gradient = decayed(c);
      const square = b.op('Mul', [gradient, gradient]);
      const m = blend(b, slots[0]!, gradient, [numbers['beta1']!, numbers['rest1']!]);
      const towards = b.op('Sign', [b.op('Sub', [slots[1], square])]);
      const share = b.op('Mul', [square, numbers['rest2']]);
      const v = b.op('Sub', [slots[1], b.op('Mul', [towards, share])]);
      const step = b.op('Mul', [adaptive(c, m, v), numbers['step_size']]);
      return { parameters: b.op('Sub', [c.parameters, step]), slots: [m, v] };
    },
  };
}

/** LAMB: a tensor's step is as long as rate·‖w‖, or rate·‖step‖ where either is 0. */
export function lamb(options: LambOptions): Optimizer {
  return {
    slots: MOMENTS,
    hyperparameters: hyperparameters(options, { epsilon: 1e-6, weightDecay: options.weightDecay }),
    numbers: (b, hyper, t) => toFloats(b, momentNumbers(b, hyper, t)),
    update: (c) => {
      const { b, numbers, parameters, sizes } = c;
      const [m, v] = moments(c, c.gradient);
      const plain = b.op('Mul', [adaptive(c, m, v), numbers['correction']]);
      const direction = decayed({ ...c, gradient: plain });
      const [weights, lengths] = [parameters, direction].map((x) => tensorNorms(b, x, sizes));
      const product = b.op('Mul', [weights, lengths]);
      const isZero = b.op('Equal', [product, b.scalar(0)]);
      const divisor = b.op('Where', [isZero, b.scalar(1), lengths]);
      const trust = b.op('Where', [isZero, b.scalar(1), b.op('Div', [weights, divisor])]);
      const scaled = perTensor(b, direction, b.op('Mul', [trust, numbers['learning_rate']]), sizes);
      return { parameters: b.op('Sub', [parameters, scaled]), slots: [m, v] };
    },
  };
}

/** Lion: steps of one size for every weight, in the direction of a blend of momentum and gradient. */
export function lion({ beta1 = 0.9, beta2 = 0.99, weightDecay }: LionOptions): Optimizer {
  return {
    leavesOut: 'lazy',
    slots: ['momentum_buffer'],
    hyperparameters: { beta1, beta2, ...unlessZero('weight_decay', weightDecay) },
    numbers: (b, hyper) => {
      const { beta1: first, beta2: second, learning_rate: rate } = hyper;
      const shrink = hyper['weight_decay'] === undefined ? {} : { shrink: shrinkage(b, hyper) };
      const rests = { rest1: oneMinus(b, first!), rest2: oneMinus(b, second!) };
      return toFloats(b, {
        beta1: first!,
        beta2: second!,
        learning_rate: rate!,
        ...rests,
        ...shrink,
      });
    },
    update: (c) => {
      const { b, gradient, numbers, slots } = c;
      const ahead = blend(b, slots[0]!, gradient, [numbers['beta1']!, numbers['rest1']!]);
      const next = blend(b, slots[0]!, gradient, [numbers['beta2']!, numbers['rest2']!]);
      const move = b.op('Mul', [b.op('Sign', [ahead]), numbers['learning_rate']]);
      return { parameters: b.op('Sub', [shrunk(c), move]), slots: [next] };
    },
  };
}

function hyperparameters(
  { beta1 = 0.9, beta2 = 0.999, epsilon }: AdamOptions | YogiOptions | LambOptions,
  defaults: { readonly epsilon: number; readonly weightDecay: number | undefined },
) {
  return {
    beta1,
    beta2,
    epsilon: epsilon ?? defaults.epsilon,
    ...unlessZero('weight_decay', defaults.weightDecay),
  };
}

/**
 * `correction` = √c₂/c₁, `step_size` = rate·√c₂/c₁ and `floor` = ε·√c₂ with cᵢ = 1 − βᵢ^t, so that step_size·m/(√v + floor) is
 * rate·(m/c₁)/(√(v/c₂) + ε) in fewer passes over the vectors.
 */
function momentNumbers(b: Builder, hyper: Numbers, t: Value): Numbers {
  const { beta1, beta2, epsilon, learning_rate: rate, weight_decay: decay } = hyper;
  const [c1, c2] = [beta1, beta2].map((beta) => oneMinus(b, b.op('Pow', [beta, t])));
  const root = b.op('Sqrt', [c2]);
  const correction = b.op('Div', [root, c1]);
  return {
    beta1: beta1!,
    beta2: beta2!,
    rest1: oneMinus(b, beta1!),
    rest2: oneMinus(b, beta2!),
    learning_rate: rate!,
    correction,
    step_size: b.op('Mul', [rate, correction]),
    floor: b.op('Mul', [epsilon, root]),
    ...(decay === undefined ? {} : { weight_decay: decay }),
  };
}

/** 1 − rate·decay: what is left of the weights. */
function shrinkage(b: Builder, hyper: Numbers): Value {
  return oneMinus(b, b.op('Mul', [hyper['learning_rate'], hyper['weight_decay']]));
}

function shrunk({ b, parameters, numbers }: UpdateContext): Value {
  return numbers['shrink'] === undefined
    ? parameters
    : b.op('Mul', [parameters, numbers['shrink']]);
}

function moments({ b, slots, numbers }: UpdateContext, gradient: Value): [Value, Value] {
  const m = blend(b, slots[0]!, gradient, [numbers['beta1']!, numbers['rest1']!]);
  const square = b.op('Mul', [gradient, gradient]);
  return [m, blend(b, slots[1]!, square, [numbers['beta2']!, numbers['rest2']!])];
}

/** m/(√v + floor). */
function adaptive({ b, numbers }: UpdateContext, m: Value, v: Value): Value {
  return b.op('Div', [m, b.op('Add', [b.op('Sqrt', [v]), numbers['floor']])]);
}
