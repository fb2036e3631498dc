import type { Builder } from './builder.ts';
import type { DType } from './dtype.ts';
import type { Attributes, Value } from './graph.ts';
import type { InferContext, Inferred, Maybe } from './infer.ts';
import type { Shape } from './shape.ts';

/** A forward node with its values, as a gradient rule sees it. */
export interface GradientContext {
  readonly b: Builder;
  readonly op: string;
  readonly attributes: Attributes;
  readonly inputs: readonly Maybe[];
  readonly outputs: readonly Value[];
  /** Which inputs the gradient is asked for; the others may be left undefined. */
  readonly needs: readonly boolean[];
  /** Output `index` of the forward node, added to the node when the model did not ask for it. */
  readonly demand: (index: number, dtype: DType, shape: Shape) => Value;
}

/**
 * Vector-Jacobian product: from the gradients of the outputs (undefined where an output has no
 * influence) those of the inputs, in the inputs' shapes.
 */
export type GradientRule = (c: GradientContext, dY: readonly Maybe[]) => readonly Maybe[];

/** Everything the engine knows of one operator. */
export interface Operator {
  readonly op: string;
  readonly infer: (c: InferContext) => readonly Inferred[];
  /** The rule; 'stop' where the derivative is zero or undefined by convention; absent: unsupported. */
  readonly gradient?: GradientRule | 'stop';
  /** Why this very node cannot be differentiated, with what to do; undefined when it can. */
  readonly refuse?: (c: InferContext) => string | undefined;
  /** Inputs that are settings, never weights: bounds, ratios, running statistics. */
  readonly settings?: readonly number[];
  /** Running statistics: index of the input, and of the output that holds its next value. */
  readonly buffers?: Readonly<Record<number, number>>;
  /** What to do about a node of this operator when there is no rule. */
  readonly advice?: string;
}
