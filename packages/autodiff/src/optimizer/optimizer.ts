import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';

/** Stochastic gradient descent as in torch.optim.SGD. */
export interface SgdOptions {
  readonly kind: 'sgd';
  /** @default 0 */
  readonly momentum?: number;
  /** Share of the gradient kept out of the momentum. @default 0 */
  readonly dampening?: number;
  /** @default false */
  readonly nesterov?: boolean;
  /** L2 penalty added to the gradient. @default 0 */
  readonly weightDecay?: number;
}

/** Adam as in torch.optim.Adam (Kingma and Ba 2015, algorithm 1); `adamw` decays weights apart. */
export interface AdamOptions {
  readonly kind: 'adam' | 'adamw';
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
  /** @default 0; 0.01 for adamw */
  readonly weightDecay?: number;
}

export type OptimizerOptions = SgdOptions | AdamOptions;

/** State of one update: flat vectors [parameters] and float64 scalars. */
export interface UpdateContext {
  readonly b: Builder;
  readonly parameters: Value;
  readonly gradient: Value;
  readonly slots: readonly Value[];
  /** Updates done before this one, int64 scalar. */
  readonly stepCount: Value;
  /** `learning_rate` and what `hyperparameters` names, float64 scalars. */
  readonly hyper: Readonly<Record<string, Value>>;
}

/** One optimizer with its options, ready to be written into a graph. */
export interface Optimizer {
  /** Names of its state vectors, each as long as the parameters and zero at the start. */
  readonly slots: readonly string[];
  /** Numbers that stay inputs of the graph, with their defaults. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  readonly update: (c: UpdateContext) => {
    readonly parameters: Value;
    readonly slots: readonly Value[];
  };
}

/**
 * A float64 scalar as float32 beside vectors. Scalars are combined in double, as PyTorch does:
 * 1 − 0.999 in float32 is wrong in the fifth digit.
 */
export function toFloat(b: Builder, scalar: Value): Value {
  return b.op('Cast', [scalar], { to: 1 });
}
