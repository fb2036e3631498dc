import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import { isStatic, sizeOf } from '../graph/shape.ts';
import { intTensor } from '../graph/tensor.ts';

/** Zeros of the shape and type of `like`. */
export function zerosLike(b: Builder, like: Value): Value {
  const made = b.op('Expand', [b.scalar(0, like), b.shapeOf(like)]);
  return b.adopt({ ...made, shape: dims(like) });
}

const LARGEST_CONSTANT = 4096;

/** 0, 1, 2, … in the shape of `like`, row by row (int64). */
export function places(b: Builder, like: Value): Value {
  const shape = dims(like);
  const count = sizeOf(shape);
  if (isStatic(shape) && count! <= LARGEST_CONSTANT) {
    return b.constant(
      intTensor(
        shape,
        Array.from({ length: count! }, (_, i) => i),
      ),
    );
  }
  const range = b.op('Range', [count64(b, 0), b.op('Size', [like]), count64(b, 1)]);
  return b.adopt({ ...b.op('Reshape', [range, b.shapeOf(like)]), dtype: 'int64', shape });
}

const count64 = (b: Builder, number: number): Value => b.constant(intTensor([], [number]));

/**
 * Gradient of an operator that only picks elements of `x`: `select` applied to their places says where
 * each element of the result came from, and `g` is added up there.
 */
export function pickedFrom(
  b: Builder,
  x: Value,
  g: Value,
  select: (places: Value) => Value,
): Value {
  return addAt(b, x, g, select(places(b, x)));
}

/** Zeros like `x` with the elements of `g` added at `at`, places counted row by row. */
export function addAt(b: Builder, x: Value, g: Value, at: Value): Value {
  const flat = (value: Value): Value =>
    dims(value).length === 1 ? value : b.op('Reshape', [value, b.ints([-1])]);
  const size = isStatic(dims(x))
    ? b.ints([sizeOf(dims(x))!])
    : b.op('Reshape', [b.op('Size', [x]), b.ints([1])]);
  const empty = b.op('Expand', [b.scalar(0, g), size]);
  const inputs = [empty, flat(at), flat(g)];
  const sums = b.op('ScatterElements', inputs, { axis: 0, reduction: 'add' });
  const back = b.op('Reshape', [sums, b.shapeOf(x)]);
  return b.adopt({ ...back, dtype: g.dtype, shape: dims(x) });
}
