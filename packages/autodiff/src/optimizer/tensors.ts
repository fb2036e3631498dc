import type { Builder } from '../graph/builder.ts';
import { cut } from '../graph/flat.ts';
import type { Value } from '../graph/graph.ts';

/** Lengths of the tensors of a flat vector, [tensors]. */
export function tensorNorms(b: Builder, flat: Value, sizes: readonly number[]): Value {
  const norms = cut(b, flat, sizes).map((part) =>
    b.op('ReduceL2', [part, b.ints([0])], { keepdims: 1 }),
  );
  return norms.length === 1 ? norms[0]! : b.op('Concat', norms, { axis: 0 });
}

/** The flat vector with each tensor times its factor of `factors` [tensors]. */
export function perTensor(
  b: Builder,
  flat: Value,
  factors: Value,
  sizes: readonly number[],
): Value {
  if (sizes.length === 1) return b.op('Mul', [flat, factors]);
  const each = cut(
    b,
    factors,
    sizes.map(() => 1),
  );
  const parts = cut(b, flat, sizes).map((part, i) => b.op('Mul', [part, each[i]]));
  return b.op('Concat', parts, { axis: 0 });
}
