import type { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import { transposed } from '../../ops/matrix.ts';
import { perRow, squares, type PerExample } from './tap.ts';

/**
 * Share of the absolute terms of a Gram product that is added to it: the terms have both signs, and
 * what rounding may take from the sum must not let an example pass with more than the clip norm.
 */
const ROUNDING = 2 ** -22;

/**
 * ‖Σ_t a_t δ_tᵀ‖² = Σ_{s,t} ⟨a_s, a_t⟩·⟨δ_s, δ_t⟩ for each row, from the two Gram matrices
 * [rows, ..., T, T], without the gradient itself (Li et al. 2022, section 4; Bu et al. 2022, theorem 1).
 */
export function gramSquares(b: Builder, left: Value, right: Value): Value {
  const terms = b.op('Mul', [left, right]);
  const axes = b.ints((left.shape ?? []).map((_, i) => i).slice(1));
  const sum = b.op('ReduceSum', [terms, axes], { keepdims: 0 });
  const size = b.op('ReduceL1', [terms, axes], { keepdims: 0 });
  const safe = b.op('Add', [sum, b.op('Mul', [size, b.scalar(ROUNDING)])]);
  return b.op('Relu', [safe]);
}

/** ⟨x_s, x_t⟩ of the rows of the last two axes: [..., T, K] -> [..., T, T]. */
export function gram(b: Builder, x: Value): Value {
  return b.op('MatMul', [x, transposed(b, x)]);
}

/**
 * Gradients of a product shared by T places of each example, from `a` [rows, ..., T, K] and
 * `slopes` [rows, ..., T, M]: the Gram matrices where they are smaller than the gradient, else the
 * gradients aᵀ·slopes [rows, ..., K, M] themselves.
 */
export function sharedProduct(b: Builder, a: Value, slopes: Value): PerExample {
  const [places, from] = (a.shape ?? []).slice(-2);
  const to = slopes.shape?.at(-1);
  const isLong = typeof places !== 'number' || typeof from !== 'number' || typeof to !== 'number';
  if (!isLong && places === 1) {
    return { squares: b.op('Mul', [squares(b, a), squares(b, slopes)]) };
  }
  if (!isLong && 2 * places * places < from * to) {
    return { squares: gramSquares(b, gram(b, a), gram(b, slopes)) };
  }
  const each = perRow(b, b.op('MatMul', [transposed(b, a), slopes]));
  return { squares: squares(b, each), each };
}
