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
  /** Divides by the largest second moment so far (Reddi et al. 2018). @default false */
  readonly amsgrad?: boolean;
}

/** torch.optim.Adagrad (Duchi et al. 2011). */
export interface AdagradOptions {
  readonly kind: 'adagrad';
  /** The rate of update t, from 0, is divided by 1 + t·rateDecay. @default 0 */
  readonly rateDecay?: number;
  /** Sum of squares before the first update. @default 0 */
  readonly initialAccumulator?: number;
  /** @default 1e-10 */
  readonly epsilon?: number;
  /** @default 0 */
  readonly weightDecay?: number;
}

/** torch.optim.RMSprop (Hinton 2012; centred: Graves 2013). */
export interface RmspropOptions {
  readonly kind: 'rmsprop';
  /** Share of the past in the mean square. @default 0.99 */
  readonly alpha?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
  /** @default 0 */
  readonly momentum?: number;
  /** Divides by the standard deviation instead of the root mean square. @default false */
  readonly centered?: boolean;
  /** @default 0 */
  readonly weightDecay?: number;
}

/** Yogi (Zaheer et al. 2018), with Adam's corrections of the start. */
export interface YogiOptions {
  readonly kind: 'yogi';
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-3 */
  readonly epsilon?: number;
  /** Second moment before the first update. @default 1e-6 */
  readonly initialAccumulator?: number;
  /** @default 0 */
  readonly weightDecay?: number;
}

/** LAMB (You et al. 2020, algorithm 2): Adam's step, scaled for each tensor to the size of its weights. */
export interface LambOptions {
  readonly kind: 'lamb';
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-6 */
  readonly epsilon?: number;
  /** @default 0 */
  readonly weightDecay?: number;
}

/** Lion (Chen et al. 2023, algorithm 2). */
export interface LionOptions {
  readonly kind: 'lion';
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.99 */
  readonly beta2?: number;
  /** Decay of the weights apart from the gradient. @default 0 */
  readonly weightDecay?: number;
}

/**
 * An optimizer with its settings; the learning rate is none of them, calls give it. β and α are in [0, 1),
 * other numbers from 0 (TRAINING_OPTIONS_INVALID).
 */
export type OptimizerOptions =
  | SgdOptions
  | AdamOptions
  | AdagradOptions
  | RmspropOptions
  | YogiOptions
  | LambOptions
  | LionOptions;

/** Bound on what an update sees as the gradient. */
export type ClipOptions =
  /** Every element into [−limit, limit] (torch.nn.utils.clip_grad_value_). */
  | { readonly kind: 'value'; readonly limit: number }
  /** The whole gradient to the length `limit` at most (torch.nn.utils.clip_grad_norm_). */
  | { readonly kind: 'norm'; readonly limit: number }
  /** The gradient of each tensor to the length `limit` at most. */
  | { readonly kind: 'tensorNorm'; readonly limit: number };

/**
 * What is done to the gradient before the optimizer sees it, in this order: the terms are added, then
 * the sum is clipped. The loss that is reported does not include them.
 */
export interface GradientOptions {
  readonly clip?: ClipOptions;
  /**
   * Adds μ·(w − w_global), the gradient of FedProx's ½μ‖w − w_global‖² (Li et al. 2020, eq. 2). Calls
   * then take `globalParameters`.
   */
  readonly proximal?: { readonly mu: number };
  /**
   * Adds a vector that the calls take as `control`: c − cᵢ for SCAFFOLD (Karimireddy et al. 2020, eq.
   * 3), −∇Lᵢ of the round before for FedDyn (Acar et al. 2021, algorithm 1, with `proximal`).
   * @default false
   */
  readonly control?: boolean;
}
