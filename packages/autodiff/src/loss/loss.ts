import type { Builder } from '../graph/builder.ts';
import type { DType } from '../graph/dtype.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';

export { LOSSES, type LossName, type LossOptions, type LossRecord } from './options.ts';

/** What labels may hold beyond their type and shape; JSON, as it stands in the manifest. */
export type LabelRule =
  | { readonly kind: 'classes'; readonly count?: number; readonly ignore?: number }
  | { readonly kind: 'range'; readonly low?: number; readonly high?: number }
  | { readonly kind: 'survival'; readonly strata: number };

/** Losses as values of a graph. */
export interface Losses {
  /** Loss of each row, [rows]. */
  readonly rows: Value;
  /** The one number that training makes small, a scalar. */
  readonly mean: Value;
}

/** One loss as a graph over a batch. */
export interface Loss {
  readonly labelDtype: DType;
  /** Shape of the labels for outputs of shape `output`; undefined when the output does not fit. */
  readonly labelShape: (output: Shape) => Shape | undefined;
  /** What the output must look like, for the message when it does not. */
  readonly wants: string;
  /** What to check of the labels before they are fed. */
  readonly labelRule?: (output: Shape) => LabelRule;
  /**
   * The losses of a batch whose rows have the weights [rows], from 0. A row of weight 0 has no
   * influence on the mean; where every row has weight 0 the mean is 0.
   */
  readonly of: (b: Builder, output: Value, labels: Value, weights: Value) => Losses;
}

export type Reduction = 'mean' | 'sum';

/** A loss of elements that do not depend on each other, of labels shaped like the output. */
export function elementwise(
  settings: {
    readonly reduction?: Reduction | undefined;
    readonly wants?: string;
    readonly labelShape?: Loss['labelShape'];
    readonly labelRule?: NonNullable<Loss['labelRule']>;
  },
  elements: (b: Builder, output: Value, labels: Value) => Value,
): Loss {
  const { reduction = 'mean', wants = 'an output [batch, ...]' } = settings;
  return {
    labelDtype: 'float32',
    labelShape: settings.labelShape ?? ((output) => (output.length >= 1 ? output : undefined)),
    wants,
    ...(settings.labelRule === undefined ? {} : { labelRule: settings.labelRule }),
    of: (b, output, labels, weights) => {
      const rows = perRow(b, elements(b, output, labels), reduction);
      return { rows, mean: combine(b, { rows, weights, reduction }) };
    },
  };
}

/** The mean or sum of each row of `each` [rows, ...], as [rows]. */
export function perRow(b: Builder, each: Value, reduction: Reduction): Value {
  const rank = dims(each).length;
  if (rank === 1) return each;
  const [rows, ...rest] = dims(each);
  if (rest.every((dim) => dim === 1))
    return b.adopt({ ...b.op('Reshape', [each, b.ints([-1])]), shape: [rows!] });
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  return b.op(reduction === 'mean' ? 'ReduceMean' : 'ReduceSum', [each, b.ints(axes)], {
    keepdims: 0,
  });
}

/** Σ wᵢ·lᵢ / Σ wᵢ, or Σ wᵢ·lᵢ, as a scalar; 0 when no row counts, so that an empty batch moves nothing. */
export function combine(
  b: Builder,
  c: { readonly rows: Value; readonly weights: Value; readonly reduction?: Reduction },
): Value {
  const sum = b.op('ReduceSum', [b.op('Mul', [c.rows, c.weights])], { keepdims: 0 });
  if (c.reduction === 'sum') return sum;
  return ratio(b, sum, b.op('ReduceSum', [c.weights], { keepdims: 0 }));
}

/** The quotient, or the numerator where the denominator is 0. */
export function ratio(b: Builder, numerator: Value, denominator: Value): Value {
  const isEmpty = b.op('Equal', [denominator, b.scalar(0, denominator)]);
  return b.op('Div', [numerator, b.op('Where', [isEmpty, b.scalar(1, denominator), denominator])]);
}

/**
 * Losses where each row has a mass of its own, as torch's mean over class weights and places that are
 * not ignored: Σ wᵢ·totalᵢ / Σ wᵢ·massᵢ, and totalᵢ / massᵢ for a row.
 */
export function byMass(
  b: Builder,
  c: {
    readonly totals: Value;
    readonly mass: Value;
    readonly weights: Value;
    readonly reduction: Reduction;
  },
): Losses {
  if (c.reduction === 'sum') return { rows: c.totals, mean: combine(b, { ...c, rows: c.totals }) };
  const sum = (value: Value): Value =>
    b.op('ReduceSum', [b.op('Mul', [value, c.weights])], { keepdims: 0 });
  return { rows: ratio(b, c.totals, c.mass), mean: ratio(b, sum(c.totals), sum(c.mass)) };
}
