import type { Builder } from '../../graph/builder.ts';
import { dims, floatOf, intOf, type Value } from '../../graph/graph.ts';
import { elementwise } from './broadcast.ts';
import { sharedProduct } from './sequence.ts';
import { squares, type PerExample, type Tap } from './tap.ts';

/** ‖a δᵀ‖² = ‖a‖²·‖δ‖² (Goodfellow 2015). */
const outer = (b: Builder, a: Value, slopes: Value): Value =>
  b.op('Mul', [squares(b, a), squares(b, slopes)]);

/** Gemm with rows in its first operand: the matrix, or the bias. */
export function gemm(tap: Tap): PerExample | undefined {
  const { b, node, index, inputs, dY, weight } = tap;
  if (index === 0 || intOf(node, 'transA', 0) !== 0) return undefined;
  if (index === 1) {
    const alpha = floatOf(node, 'alpha', 1);
    const product = outer(b, inputs[0]!, dY);
    return { squares: alpha === 1 ? product : b.op('Mul', [product, b.scalar(alpha * alpha)]) };
  }
  const isVector = weight.shape?.length === 1 && weight.shape[0] === dY.shape?.[1];
  if (!isVector || floatOf(node, 'beta', 1) !== 1) return undefined;
  return { squares: squares(b, dY), each: dY };
}

/** MatMul with a matrix that all rows share, on the right; a matrix on the left is written out. */
export function matMul(tap: Tap): PerExample | undefined {
  const { b, index, inputs, dY, weight } = tap;
  if (index === 0) return elementwise(tap);
  const x = inputs[0]!;
  const rank = dims(x).length;
  if (weight.shape?.length !== 2) return undefined;
  if (rank === 2) return { squares: outer(b, x, dY) };
  if (rank === 3) return sharedProduct(b, x, dY);
  const places = dims(x).slice(1, -1);
  const count = places.every((dim) => typeof dim === 'number')
    ? places.reduce((product, dim) => product * dim, 1)
    : undefined;
  const flat = (value: Value): Value => {
    const [rows, last] = [dims(value)[0]!, dims(value).at(-1)!];
    if (typeof last !== 'number') return value;
    const made = b.op('Reshape', [value, b.ints([0, -1, last])]);
    return b.adopt({ ...made, shape: [rows, count ?? b.fresh(), last] });
  };
  const [left, right] = [flat(x), flat(dY)];
  return left === x || right === dY ? undefined : sharedProduct(b, left, right);
}
