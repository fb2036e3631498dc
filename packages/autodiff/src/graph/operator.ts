import type { Builder } from './builder.ts';
import type { DType } from './dtype.ts';
import type { Attributes, Node, Value } from './graph.ts';
import type { InferContext, Inferred, Maybe } from './infer.ts';
import type { Placed, PlacedNode } from './place.ts';
import type { Shape } from './shape.ts';

/** Differentiation of the nodes of a subgraph, for rules of operators that hold one. */
export interface Inner {
  /** The nodes of `placed` through which `targets` depend on `sources`. */
  readonly path: (
    forward: Builder,
    placed: Placed,
    sources: readonly string[],
    targets: readonly string[],
  ) => readonly PlacedNode[];
  /** Writes into `b` the gradients with respect to `sources`; undefined where there is no influence. */
  readonly differentiate: (
    b: Builder,
    forward: Builder,
    path: readonly PlacedNode[],
    seeds: ReadonlyMap<string, Value>,
    sources: readonly string[],
  ) => readonly Maybe[];
}

/** A forward node with its values, as a gradient rule sees it. */
export interface GradientContext {
  /** Where the gradient is written. */
  readonly b: Builder;
  /** Where the forward node stands: another graph than `b` inside a subgraph. */
  readonly forward: Builder;
  readonly node: Node;
  readonly op: string;
  readonly attributes: Attributes;
  /** Values of the node's inputs, then those that its subgraphs use from outside. */
  readonly inputs: readonly Maybe[];
  readonly outputs: readonly Value[];
  /** Which inputs the gradient is asked for; the others may be left undefined. */
  readonly needs: readonly boolean[];
  /** Output `index` of the forward node, added to the node when the model did not ask for it. */
  readonly demand: (index: number, dtype: DType, shape: Shape) => Value;
  readonly inner: Inner;
}

/** A node that is about to be written as others, see {@link Operator.lower}. */
export interface LowerContext extends InferContext {
  readonly b: Builder;
  /** Which outputs anything may use. */
  readonly wants: readonly boolean[];
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
  /**
   * Writes the node as others whose gradients are known, when it is to be differentiated; gives the
   * values of the outputs, in order, absent where nothing uses them.
   * Graphs that are not differentiated keep the node.
   */
  readonly lower?: (c: LowerContext) => readonly Maybe[];
  /** Why this very node cannot be differentiated, with what to do; undefined when it can. */
  readonly refuse?: (c: InferContext) => string | undefined;
  /** Inputs that are settings, never weights: bounds, ratios, running statistics. */
  readonly settings?: readonly number[];
  /** Running statistics: index of the input, and of the output that holds its next value. */
  readonly buffers?: Readonly<Record<number, number>>;
  /** What the gradient is where the calculus leaves a choice, in a line for the table of operators. */
  readonly convention?: string;
  /** What it cannot do, in a line for the table of operators. */
  readonly limits?: string;
  /** What to do about a node of this operator when there is no rule. */
  readonly advice?: string;
}
