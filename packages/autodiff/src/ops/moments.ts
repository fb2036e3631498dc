import type { Builder } from '../graph/builder.ts';
import { dims, floatOf, type Value } from '../graph/graph.ts';
import type { GradientContext } from '../graph/operator.ts';

/** 1/√(variance + ε) with the node's epsilon. */
export function inverseRoot(c: GradientContext, variance: Value): Value {
  const { b } = c;
  const epsilon = b.scalar(floatOf(c, 'epsilon', 1e-5), variance);
  return b.op('Reciprocal', [b.op('Sqrt', [b.op('Add', [variance, epsilon])])]);
}

/**
 * scale·x + shift for each channel of x [N, C, …], in one pass of the runtime's own kernel; the others
 * are [C].
 */
export function affine(
  b: Builder,
  x: Value,
  { scale, shift }: { readonly scale: Value; readonly shift: Value },
): Value {
  const like = b.shapeOf(scale);
  const [zero, one] = [0, 1].map((value) => b.op('Expand', [b.scalar(value, x), like]));
  return b.op('BatchNormalization', [x, scale, shift, zero, one], { epsilon: { float: 0 } });
}

/** Mean over the last axis, which stays with size 1. */
export function lastMean(b: Builder, value: Value): Value {
  return b.op('ReduceMean', [value, b.ints([-1])], { keepdims: 1 });
}

/** Sum over the last axis, which stays with size 1. */
export function lastSum(b: Builder, value: Value): Value {
  return b.op('ReduceSum', [value, b.ints([-1])], { keepdims: 1 });
}

/** How many elements of `x` belong to one of `like`, a scalar of the type of `x`. */
export function sharers(b: Builder, x: Value, like: Value): Value {
  return b.op('CastLike', [b.op('Div', [b.op('Size', [x]), b.op('Size', [like])]), x]);
}

/** A value as a vector. */
export function vector(b: Builder, value: Value): Value {
  return dims(value).length === 1 ? value : b.op('Reshape', [value, b.ints([-1])]);
}
