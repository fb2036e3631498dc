/** How the losses of elements and rows become one number. */
interface Reduced {
  /**
   * `mean`: over the elements of a row, then over the rows by their weights; `sum`: both added up.
   * @default 'mean'
   */
  readonly reduction?: 'mean' | 'sum';
}

/** Losses of torch.nn without further settings: an output and labels of the same shape. */
interface PlainLoss<Kind> extends Reduced {
  readonly kind: Kind;
}

interface HuberLoss extends Reduced {
  readonly kind: 'huber';
  /** Where the square becomes a line, above 0. @default 1 */
  readonly delta?: number;
}

interface SmoothL1Loss extends Reduced {
  readonly kind: 'smooth_l1';
  /** Where the square becomes a line, from 0; 0 is `l1`. @default 1 */
  readonly beta?: number;
}

interface QuantileLoss extends Reduced {
  readonly kind: 'quantile';
  /** The quantile wanted, in (0, 1); a list gives one for each number along the last axis. @default 0.5 */
  readonly quantile?: number | readonly number[];
}

interface PoissonLoss extends Reduced {
  readonly kind: 'poisson_nll';
  /** The output is the logarithm of the rate. @default true */
  readonly logInput?: boolean;
  /** Adds Stirling's term for labels above 1. @default false */
  readonly full?: boolean;
  /** Added to the rate before its logarithm where `logInput` is false. @default 1e-8 */
  readonly epsilon?: number;
}

interface GaussianLoss extends Reduced {
  readonly kind: 'gaussian_nll';
  /** Adds the constant ½·ln 2π. @default false */
  readonly full?: boolean;
  /** Least variance. @default 1e-6 */
  readonly epsilon?: number;
  /** The second half of the output is the logarithm of the variance. @default false */
  readonly logVariance?: boolean;
}

interface BinaryLoss extends Reduced {
  readonly kind: 'bce_with_logits';
  /** Factor on the loss of positives, one number or one for each along the last axis. @default 1 */
  readonly positiveWeight?: number | readonly number[];
}

interface BinaryFocalLoss extends Reduced {
  readonly kind: 'binary_focal';
  /** How much easy examples count less, from 0. @default 2 */
  readonly gamma?: number;
  /** Weight of positives, in [0, 1]; negatives have 1 − alpha. @default no weights */
  readonly alpha?: number;
}

interface OfClasses extends Reduced {
  /** Axis of the output that holds the classes: 1, or −1 for sequences [batch, ..., classes]. @default 1 */
  readonly classAxis?: -1 | 1;
  /** Factor on the loss of each class. @default all 1 */
  readonly classWeights?: readonly number[];
  /** Label whose places count for nothing. @default -100 */
  readonly ignoreIndex?: number;
}

interface CrossEntropyLoss extends OfClasses {
  readonly kind: 'cross_entropy';
  /** Share of each label spread over all classes, in [0, 1]. @default 0 */
  readonly labelSmoothing?: number;
  /** Labels are probabilities of the output's shape instead of class indices. @default false */
  readonly softTargets?: boolean;
}

/** The output holds logarithms of probabilities (torch.nn.NLLLoss). */
interface NllLoss extends OfClasses {
  readonly kind: 'nll';
}

interface FocalLoss extends OfClasses {
  readonly kind: 'focal';
  /** How much easy examples count less, from 0. @default 2 */
  readonly gamma?: number;
}

/** How prediction and truth are overlaid: shared by all losses of the Dice family. */
export interface OverlapOptions {
  /**
   * What makes probabilities of the output: `sigmoid` takes labels of the output's shape, `softmax`
   * class indices over the class axis, `none` probabilities as they are. @default 'sigmoid'
   */
  readonly activation?: 'sigmoid' | 'softmax' | 'none';
  /** Axis of the output that holds the classes. @default 1 */
  readonly classAxis?: -1 | 1;
  /** Added to numerator and denominator. @default 1 */
  readonly smooth?: number;
  /** One overlap for each row, or one for the whole batch. @default 'sample' */
  readonly over?: 'sample' | 'batch';
  /** One overlap for each class, averaged, instead of one of all together. @default false */
  readonly perClass?: boolean;
  /** Leaves out class 0. @default false */
  readonly skipsBackground?: boolean;
}

interface DiceShape {
  /** Squares in the denominator (Milletari et al. 2016). @default false */
  readonly squared?: boolean;
  /** Classes weighted by 1 / (their size)² (Sudre et al. 2017). @default false */
  readonly generalised?: boolean;
}

interface DiceLoss extends OverlapOptions, DiceShape {
  readonly kind: 'dice';
}

interface TverskyLoss extends OverlapOptions {
  readonly kind: 'tversky';
  /** Weight of false positives. @default 0.5 */
  readonly alpha?: number;
  /** Weight of false negatives. @default 0.5 */
  readonly beta?: number;
}

/** Dice and an entropy of the same logits, added: `dice_bce` with sigmoid, `dice_ce` with softmax. */
interface DiceEntropyLoss<Kind> extends Omit<OverlapOptions, 'activation'>, DiceShape {
  readonly kind: Kind;
  /** @default 1 */
  readonly diceWeight?: number;
  /** @default 1 */
  readonly entropyWeight?: number;
}

interface CoxLoss {
  readonly kind: 'cox';
  /** How events at the same time are treated (Breslow 1974, Efron 1977). @default 'breslow' */
  readonly ties?: 'breslow' | 'efron';
  /** Number of strata; labels then have a third column with the stratum from 0. @default 1 */
  readonly strata?: number;
}

interface DivergenceLoss {
  readonly kind: 'kl_div';
  /** Labels are logarithms of probabilities. @default false */
  readonly logTarget?: boolean;
  /** `batchmean` adds up within a row, which is the divergence proper. @default 'mean' */
  readonly reduction?: 'mean' | 'batchmean' | 'sum';
}

interface CosineLoss extends Reduced {
  readonly kind: 'cosine_embedding';
  /** How far apart pairs labelled −1 should be, in [−1, 1]. @default 0 */
  readonly margin?: number;
}

interface OnnxLoss {
  readonly kind: 'onnx';
  /**
   * A model with inputs `output` and `labels` and, where rows depend on each other, `weights` [batch];
   * its first output is the loss of each row [batch] or of each element [batch, ...].
   */
  readonly model: Uint8Array;
}

/** A loss with its settings. Values follow torch.nn where it has the loss. */
export type LossOptions =
  | PlainLoss<'mse'>
  | PlainLoss<'l1'>
  | PlainLoss<'bce'>
  | HuberLoss
  | SmoothL1Loss
  | QuantileLoss
  | PoissonLoss
  | GaussianLoss
  | BinaryLoss
  | BinaryFocalLoss
  | CrossEntropyLoss
  | NllLoss
  | FocalLoss
  | DiceLoss
  | TverskyLoss
  | DiceEntropyLoss<'dice_bce'>
  | DiceEntropyLoss<'dice_ce'>
  | CoxLoss
  | DivergenceLoss
  | CosineLoss
  | OnnxLoss;

/** The settings of one kind of loss. */
export type LossOf<Kind extends LossOptions['kind']> = Extract<
  LossOptions,
  { readonly kind: Kind }
>;

/** Every loss that needs no settings, by name. */
export const LOSSES = [
  'bce',
  'bce_with_logits',
  'binary_focal',
  'cosine_embedding',
  'cox',
  'cross_entropy',
  'dice',
  'dice_bce',
  'dice_ce',
  'focal',
  'gaussian_nll',
  'huber',
  'kl_div',
  'l1',
  'mse',
  'nll',
  'poisson_nll',
  'quantile',
  'smooth_l1',
  'tversky',
] as const satisfies readonly LossOptions['kind'][];

/** A loss by its name, with its defaults. */
export type LossName = (typeof LOSSES)[number];

/** A loss as JSON for the manifest: a model stands there by its SHA-256. */
export type LossRecord =
  | LossName
  | Exclude<LossOptions, OnnxLoss>
  | { readonly kind: 'onnx'; readonly modelSha256: string };
