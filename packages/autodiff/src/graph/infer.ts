import type { DType } from './dtype.ts';
import type { Attributes, Value } from './graph.ts';
import type { Dim, Shape } from './shape.ts';

/** A value that may be absent: an optional input, or a gradient of zero. */
export type Maybe = Value | undefined;

/** What is known of a node when its outputs are to be inferred. */
export interface InferContext {
  readonly op: string;
  readonly attributes: Attributes;
  readonly inputs: readonly Maybe[];
  readonly outputCount: number;
  /** A symbol for a size that nothing else is known to share. */
  readonly fresh: () => string;
}

/** What is known of an output: see {@link Value}. */
export interface Inferred {
  readonly dtype: DType | undefined;
  readonly shape: Shape | undefined;
  readonly content?: readonly Dim[] | undefined;
}

/** Types and shapes of the outputs of a node; an empty list when the operator is not known. */
export type Infer = (domain: string, c: InferContext) => readonly Inferred[];
