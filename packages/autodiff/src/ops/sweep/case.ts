import type { AttributeInput } from '../../graph/graph.ts';
import { floatTensor, intTensor, type Tensor } from '../../graph/tensor.ts';

/** One node to check: float operands by shape (differentiated), constants as they are. */
export interface Case {
  readonly op: string;
  readonly operands: readonly (readonly number[] | Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** Number of outputs of the node. @default 1 */
  readonly outputs?: number;
  /** Outputs whose weighted sum is differentiated. @default [0] */
  readonly targets?: readonly number[];
  /** Where the operands' values lie; kinks are kept at a distance. */
  readonly from?: number;
  readonly to?: number;
  readonly kinks?: readonly number[];
  /** Operands (by index) that are not differentiated although they are given by shape. */
  readonly constants?: readonly number[];
  /** Operands (by index) that only the subgraphs read, under their names x0, x1, … */
  readonly captured?: readonly number[];
  /** float64 where the runtime has kernels: the tolerance is then 1e-6. @default float32 */
  readonly dtype?: 'float32' | 'float64';
  /** The rank of the result depends on sizes, so symbols cannot be used. */
  readonly staticOnly?: boolean;
}

export const ints = (...values: readonly number[]): Tensor => intTensor([values.length], values);

export const float = (value: number): Tensor => floatTensor([], [value]);

export const bools = (dims: readonly number[], ...values: readonly number[]): Tensor => ({
  dtype: 'bool',
  dims,
  bytes: Uint8Array.from(values),
});

/** Values for which roots and logarithms exist. */
export const POSITIVE = { from: 0.4, to: 2.5 };
