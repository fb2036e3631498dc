import type { Builder } from '../graph/builder.ts';
import type { DType } from '../graph/dtype.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';

export const LOSSES = ['bce_with_logits', 'cross_entropy', 'mse'] as const;
export type LossName = (typeof LOSSES)[number];

/** One loss as a graph over a batch. */
export interface Loss {
  readonly labelDtype: DType;
  /** Shape of the labels for outputs of shape `output`; undefined when the output does not fit. */
  readonly labelShape: (output: Shape) => Shape | undefined;
  /** What the output must look like, for the message when it does not. */
  readonly wants: string;
  /** The loss of each element, in the labels' shape. */
  readonly elements: (b: Builder, output: Value, labels: Value) => Value;
}

/** The loss of each row, [rows]: the mean over whatever else the row holds. */
export function rowLosses(b: Builder, loss: Loss, output: Value, labels: Value): Value {
  const each = loss.elements(b, output, labels);
  const rank = dims(each).length;
  if (rank === 1) return each;
  const rest = dims(each).slice(1);
  if (rest.every((dim) => dim === 1))
    return b.adopt({ ...b.op('Reshape', [each, b.ints([-1])]), shape: [dims(each)[0]!] });
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  return b.op('ReduceMean', [each, b.ints(axes)], { keepdims: 0 });
}

/** Σ wᵢ·lᵢ / Σ wᵢ as a scalar; 0 when no row counts, so that an empty batch moves nothing. */
export function weightedMean(b: Builder, losses: Value, weights: Value): Value {
  const total = b.op('ReduceSum', [weights], { keepdims: 0 });
  const isEmpty = b.op('Equal', [total, b.scalar(0)]);
  const sum = b.op('ReduceSum', [b.op('Mul', [losses, weights])], { keepdims: 0 });
  return b.op('Div', [sum, b.op('Where', [isEmpty, b.scalar(1), total])]);
}
