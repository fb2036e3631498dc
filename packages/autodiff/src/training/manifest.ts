import type { DType } from '../graph/dtype.ts';
import type { BatchNormMode, RunningVariance } from '../graph/mode.ts';
import type { Shape } from '../graph/shape.ts';
import type { LabelRule, LossName, LossOptions, LossRecord } from '../loss/loss.ts';
import type { ModelOptions, Parameter } from '../parameters.ts';
import type { SparseEmbeddings } from './embedding/lookup.ts';
import type { ClippingMethod, PrivacyOptions } from './private/method.ts';
import type { ClipOptions, GradientOptions, OptimizerOptions } from '../optimizer/optimizer.ts';

/** Version of the graphs this engine writes; part of every manifest. */
export const ENGINE_VERSION = 'medley-autodiff/1';

/** A tensor the training takes; the first size is the number of rows. */
export interface DataSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What a set of training graphs is made of: JSON, the same for the same model and options. */
export interface TrainingManifest {
  readonly engine: typeof ENGINE_VERSION;
  /** SHA-256 of the forward model, lower-case hex. */
  readonly sourceSha256: string;
  /** Operator set of the forward model, 6 to 26. */
  readonly sourceOpset: number;
  /** Operator set of the graphs. */
  readonly opset: number;
  /** As given; a loss that is a model stands here by its SHA-256. */
  readonly loss: LossRecord;
  readonly optimizer: OptimizerOptions;
  /** Name of the model's output that the loss is of. */
  readonly output: DataSpec;
  /** What the model takes, in the order of its file. */
  readonly inputs: readonly DataSpec[];
  /** What the loss compares the output with. */
  readonly labels: DataSpec;
  /** What the loss takes as labels; absent: any finite numbers. */
  readonly labelRule?: LabelRule;
  /** Trainable ones first, then local, then buffers. */
  readonly parameters: readonly Parameter[];
  /** Length of the flat vector. */
  readonly parameterCount: number;
  /** Length of its prefix that the optimizer moves: trainable and local elements. */
  readonly trainableCount: number;
  /** Weights and statistics that stay as the file has them: constants of the graphs. */
  readonly frozen: readonly string[];
  readonly batchNorm: BatchNormMode;
  readonly runningVariance: RunningVariance;
  /** Names of the optimizer's state vectors; each has `trainableCount` elements. */
  readonly slots: readonly string[];
  /** What the elements of a slot are at the start, where it is not 0. */
  readonly slotStarts?: Readonly<Record<string, number>>;
  /** Bound on the gradient that the optimizer sees; its limit is the hyperparameter `clip_limit`. */
  readonly clip?: ClipOptions;
  /** Names of further vectors that an update takes, each with `trainableCount` elements. */
  readonly vectors?: readonly string[];
  /** Embeddings of which an update reads and writes only the rows that its batch looks up. */
  readonly sparseEmbeddings?: readonly string[];
  /** How gradients are clipped by example; absent where they are not. */
  readonly privacy?: PrivacyOptions & { readonly method: ClippingMethod };
  /** Numbers that may be changed from step to step, with their defaults. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Names in the graphs of the model's inputs, in the order of `inputs`. */
  readonly feeds: readonly string[];
}

/** The graphs of a training: ordinary ONNX files for the stock runtime. */
export interface TrainingArtifacts {
  readonly manifest: TrainingManifest;
  /** One update: parameters, slots, batch -> parameters, slots, loss. */
  readonly step: Uint8Array;
  /** Many updates in one run over rows chosen by index, in an ONNX Loop. */
  readonly epoch: Uint8Array;
  /** Outputs and losses of rows, without a gradient. */
  readonly evaluate: Uint8Array;
}

/** Options of a training. */
export interface TrainingOptions extends ModelOptions, GradientOptions {
  /** What training makes small; settings outside their ranges throw TRAINING_OPTIONS_INVALID. */
  readonly loss: LossName | LossOptions;
  /** How the weights follow the gradient. */
  readonly optimizer: OptimizerOptions;
  /** Name of the output to compare with the labels. @default the model's only float output, or its first */
  readonly output?: string;
  /** How the variance of a batch enters the running one. @default torch */
  readonly runningVariance?: RunningVariance;
  /**
   * Whether an update leaves out the rows of a large embedding (262,144 elements and more) that its
   * batch does not look up: `exact` where this changes no result (plain SGD, Adagrad, without weight
   * decay), `lazy` also with moments or decay, which then rest for those rows as in LazyAdam. Never with
   * LAMB, `privacy`, `proximal` or `control`.
   * @default exact
   */
  readonly sparseEmbeddings?: SparseEmbeddings;
  /** Clips the gradient of each example and adds noise to their sum. @default neither */
  readonly privacy?: PrivacyOptions;
}
