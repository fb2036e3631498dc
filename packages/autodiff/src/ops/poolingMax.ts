import type { Builder } from '../graph/builder.ts';
import { dims, intOf, intsOf, type AttributeInput, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { combine, known, sizesFrom, vector } from './sizes.ts';
import { slideShape, windowOf, type Window } from './window.ts';

/** The window of a pooling node over the axes of `x` after the second. */
export function poolWindow(c: Pick<InferContext, 'attributes'>, x: Value): Window {
  return windowOf(c, intsOf(c, 'kernel_shape') ?? [], dims(x).slice(2));
}

/** Type and shape of the result of a pooling node. */
export function inferPool(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const sizes = slideShape(c, poolWindow(c, x), x.shape.slice(2), c.fresh);
  return [{ dtype: x.dtype, shape: [...x.shape.slice(0, 2), ...sizes] }];
}

function inferMaxPool(c: InferContext): readonly Inferred[] {
  const [y] = inferPool(c);
  return [y!, { dtype: 'int64', shape: y!.shape }];
}

// The first of equal elements wins, as the runtime's and PyTorch's kernels have it: the indices say which.
const maxPool: GradientRule = (c, [g]) => {
  if (g === undefined) return [];
  const [x] = c.inputs;
  const window = poolWindow(c, x!);
  const indices = indicesOf(c);
  return [isDisjoint(window) ? placed(c.b, x!, g, indices) : added(c.b, x!, g, indices)];
};

/** Where each maximum was found, counted row-major over the whole input. */
function indicesOf({ b, attributes, inputs: [x], outputs, demand }: GradientContext): Value {
  if (intOf({ attributes }, 'storage_order', 0) === 0) return demand(1, 'int64', dims(outputs[0]!));
  const again = Object.fromEntries(
    [...attributes].flatMap(([name, { value }]) =>
      name === 'storage_order' ? [] : [[name, value as AttributeInput]],
    ),
  );
  return b.many('MaxPool', [x], again, 2)[1]!;
}

/** True when no element is in two windows. */
const isDisjoint = ({ kernel, strides, dilations }: Window): boolean =>
  kernel.every((k, i) => typeof k === 'number' && (k - 1) * dilations[i]! < strides[i]!);

// As one long line, so that the kernel's own idea of the result's size is never too large.
function placed(b: Builder, x: Value, g: Value, indices: Value): Value {
  const line = (value: Value): Value => b.op('Reshape', [value, b.ints([1, 1, -1])]);
  const size = vector(b, [
    1,
    1,
    sizesFrom(b, x, 0).reduce((all, one) => combine(b, 'Mul', all, one), 1),
  ]);
  const made = b.op('MaxUnpool', [line(g), line(indices), size], { kernel_shape: [1] });
  return known(b, b.op('Reshape', [made, b.shapeOf(x)]), x, dims(x));
}

function added(b: Builder, x: Value, g: Value, indices: Value): Value {
  const flat = (value: Value): Value => b.op('Reshape', [value, b.ints([-1])]);
  const size = vector(b, [sizesFrom(b, x, 0).reduce((all, one) => combine(b, 'Mul', all, one), 1)]);
  const none = b.op('Expand', [b.scalar(0, x), size]);
  const made = b.op('ScatterElements', [none, flat(indices), flat(g)], {
    axis: 0,
    reduction: 'add',
  });
  return known(b, b.op('Reshape', [made, b.shapeOf(x)]), x, dims(x));
}

function inferMaxUnpool(c: InferContext): readonly Inferred[] {
  const [x, , sizes] = c.inputs;
  if (sizes?.content !== undefined) return [{ dtype: x?.dtype, shape: sizes.content }];
  if (x?.shape === undefined || sizes !== undefined) {
    return [{ dtype: x?.dtype, shape: x?.shape?.map(c.fresh) }];
  }
  const w = poolWindow(c, x);
  const shape = x.shape.map((size, i) => {
    if (i < 2) return size;
    const [k, stride] = [w.kernel[i - 2]!, w.strides[i - 2]!];
    const total = (w.pads?.begins[i - 2] ?? 0) + (w.pads?.ends[i - 2] ?? 0);
    return typeof size === 'number' && typeof k === 'number'
      ? (size - 1) * stride + k - total
      : c.fresh();
  });
  return [{ dtype: x.dtype, shape }];
}

// Where two elements were put in one place the last one stands, so the others would be given too much:
// the operator is the inverse of a pooling whose windows do not overlap, and no such pair exists.
const maxUnpool: GradientRule = ({ b, inputs: [x, indices] }, [g]) => {
  const flat = (value: Value): Value => b.op('Reshape', [value, b.ints([-1])]);
  const read = b.op('GatherElements', [flat(g!), flat(indices!)], { axis: 0 });
  return [known(b, b.op('Reshape', [read, b.shapeOf(x!)]), x!, dims(x!))];
};

/** Maxima of windows, and their way back. */
export const POOLING_MAX: readonly Operator[] = [
  {
    op: 'MaxPool',
    infer: inferMaxPool,
    gradient: maxPool,
    convention: 'the first of equal elements takes all',
  },
  { op: 'MaxUnpool', infer: inferMaxUnpool, gradient: maxUnpool, settings: [1, 2] },
];
