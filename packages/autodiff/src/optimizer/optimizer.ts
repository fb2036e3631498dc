import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';

export type {
  AdagradOptions,
  AdamOptions,
  ClipOptions,
  GradientOptions,
  LambOptions,
  LionOptions,
  OptimizerOptions,
  RmspropOptions,
  SgdOptions,
  YogiOptions,
} from './options.ts';

/** Numbers of one update by name. */
export type Numbers = Readonly<Record<string, Value>>;

/** State of one update of one piece of the model: flat float32 vectors [elements] and float32 numbers. */
export interface UpdateContext {
  readonly b: Builder;
  readonly parameters: Value;
  readonly gradient: Value;
  readonly slots: readonly Value[];
  /** What {@link Optimizer.numbers} gave, for this update. */
  readonly numbers: Numbers;
  /** The further vectors that {@link Optimizer.vectors} names. */
  readonly vectors?: Numbers;
  /** Lengths of the tensors that make up the vector. */
  readonly sizes: readonly number[];
}

/** One optimizer with its options, ready to be written into a graph. */
export interface Optimizer {
  /** Names of its state vectors, each as long as the parameters that move. */
  readonly slots: readonly string[];
  /** What the elements of a slot are before the first update. @default 0 for each */
  readonly starts?: Readonly<Record<string, number>>;
  /** Numbers that stay inputs of the graph, with their defaults. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Names of further vectors that are inputs of the graph, each as long as the parameters that move. */
  readonly vectors?: readonly string[];
  /**
   * Whether elements without a gradient may be left out of an update: `exact` where the update would not
   * change them nor their slots, `lazy` where it would, but an algorithm that leaves them is known by
   * that name (TensorFlow's LazyAdam, PyTorch's SparseAdam). Absent: they may not.
   */
  readonly leavesOut?: 'exact' | 'lazy';
  /** What {@link update} sees in place of the gradients of all pieces, in their order. */
  readonly gradients?: (pieces: readonly UpdateContext[]) => readonly Value[];
  /**
   * The numbers of an update as float32, from `learning_rate` and the hyperparameters and the number
   * `t` of the update, from 1; all float64. Where `t` or the rate is a list [updates], what depends on
   * it is one too: so the numbers of many updates are made at once, outside of their loop.
   */
  readonly numbers: (b: Builder, hyper: Numbers, t: Value) => Numbers;
  readonly update: (c: UpdateContext) => {
    readonly parameters: Value;
    readonly slots: readonly Value[];
  };
}

/**
 * Float64 numbers as float32 beside vectors. They are combined in double, as PyTorch does: 1 − 0.999 in
 * float32 is wrong in the fifth digit.
 */
export function toFloats(b: Builder, numbers: Numbers): Numbers {
  return Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [name, b.op('Cast', [value], { to: 1 })]),
  );
}

/** 1 − x in double. */
export function oneMinus(b: Builder, x: Value): Value {
  return b.op('Sub', [b.scalar(1, x), x]);
}

/** β·before + rest·now. */
export function blend(
  b: Builder,
  before: Value,
  now: Value,
  [beta, rest]: readonly [Value, Value],
) {
  return b.op('Add', [b.op('Mul', [before, beta]), b.op('Mul', [now, rest])]);
}

/** The gradient with decay·parameters added, or as it is without a decay. */
export function decayed({ b, gradient, parameters, numbers }: UpdateContext): Value {
  const decay = numbers['weight_decay'];
  return decay === undefined ? gradient : b.op('Add', [gradient, b.op('Mul', [parameters, decay])]);
}

/** A hyperparameter that leaves no trace in the graph while it is 0. */
export function unlessZero(name: string, value: number | undefined): Record<string, number> {
  return value === undefined || value === 0 ? {} : { [name]: value };
}
