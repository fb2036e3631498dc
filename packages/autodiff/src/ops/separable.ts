import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Maybe } from '../graph/infer.ts';
import { combine, known, reshape, sizeAt, sizesFrom, vector, type Size } from './sizes.ts';

/** How an operator that works on each axis alone acts on one: [rows, from] in, [rows, to] out. */
export interface AxisMap {
  readonly axis: number;
  readonly apply: (rows: Value) => Value;
}

/**
 * The transpose of a separable linear operator: the gradient of its input `x` from that of its output.
 * The matrix of each axis is what the operator itself makes of the identity: its
 * columns are the images of the unit vectors.
 */
export function transposeOf(b: Builder, x: Value, g: Value, maps: readonly AxisMap[]): Value {
  let made = g;
  for (const { axis, apply } of maps) made = along(b, made, axis, matrixOf(b, x, axis, apply));
  return known(b, made, x, dims(x));
}

/** [from, to]: row i is what the operator makes of a single one at place i. */
function matrixOf(b: Builder, x: Value, axis: number, apply: AxisMap['apply']): Value {
  const size = sizeAt(b, x, axis);
  const square = b.op('Expand', [b.scalar(0, x), vector(b, [size, size])]);
  const dim = dims(x)[axis]!;
  const eye = known(b, b.op('EyeLike', [square]), x, [dim, dim]);
  return apply(eye);
}

/** `g` with axis `axis` multiplied by `matrix` [from, to]: sizes `to` become `from`. */
function along(b: Builder, g: Value, axis: number, matrix: Value): Value {
  const rank = dims(g).length;
  const [lead, tail] = [firstSizes(b, g, axis), sizesFrom(b, g, axis + 1)];
  const product = (list: readonly Size[]): Size =>
    list.reduce((all, size) => combine(b, 'Mul', all, size), 1);
  const from = sizeAt(b, matrix, 0);
  if (axis === rank - 1) {
    const rows = reshape(b, g, [product(lead), sizeAt(b, g, axis)]);
    const made = b.op('Gemm', [rows, matrix], { transB: 1 });
    return reshape(b, made, [...lead, from]);
  }
  const blocks = reshape(b, g, [product(lead), sizeAt(b, g, axis), product(tail)]);
  return reshape(b, b.op('MatMul', [matrix, blocks]), [...lead, from, ...tail]);
}

const firstSizes = (b: Builder, value: Value, count: number): readonly Size[] =>
  Array.from({ length: count }, (_, axis) => sizeAt(b, value, axis));

/** `rows` [count, size] as [1, count, size], and back, for operators that want examples and channels. */
export function asChannels(b: Builder, rows: Value, run: (image: Value) => Maybe): Value {
  const image = b.op('Unsqueeze', [rows, b.ints([0])]);
  const made = b.op('Squeeze', [run(image), b.ints([0])]);
  return b.adopt({ ...made, dtype: rows.dtype, shape: [dims(rows)[0]!, b.fresh()] });
}
