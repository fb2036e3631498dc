import type { Builder } from './builder.ts';
import type { Value } from './graph.ts';

/** A flat vector cut into stretches of these sizes. */
export function cut(b: Builder, flat: Value, sizes: readonly number[]): readonly Value[] {
  if (sizes.length === 1) return [flat];
  const parts = b.many('Split', [flat, b.ints(sizes)], { axis: 0 }, sizes.length);
  return parts.map((part, i) => b.adopt({ ...part, dtype: flat.dtype, shape: [sizes[i]!] }));
}

/** Tensors one after another in one vector. */
export function joined(b: Builder, tensors: readonly Value[]): Value {
  const flat = tensors.map((tensor) => flatOf(b, tensor));
  return flat.length === 1 ? flat[0]! : b.op('Concat', flat, { axis: 0 });
}

/** A tensor as a vector. */
export function flatOf(b: Builder, tensor: Value): Value {
  return tensor.shape?.length === 1 ? tensor : b.op('Reshape', [tensor, b.ints([-1])]);
}
