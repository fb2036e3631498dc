import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';

/** A size in a formula: known, or an int64 vector of one element made when the graph runs. */
export type Size = number | Value;

/** The size of one axis. */
export function sizeAt(b: Builder, value: Value, axis: number): Size {
  const dim = dims(value)[axis]!;
  if (typeof dim === 'number') return dim;
  return b.op('Slice', [b.shapeOf(value), b.ints([axis]), b.ints([axis + 1])]);
}

/** The sizes of the axes `from` and after. */
export function sizesFrom(b: Builder, value: Value, from: number): readonly Size[] {
  return dims(value)
    .slice(from)
    .map((_, i) => sizeAt(b, value, from + i));
}

/** Arithmetic on sizes, done at once where both are known. */
export function combine(b: Builder, op: 'Add' | 'Sub' | 'Mul' | 'Div', x: Size, y: Size): Size {
  if (typeof x === 'number' && typeof y === 'number') return FOLD[op](x, y);
  return b.op(op, [vectorOf(b, x), vectorOf(b, y)]);
}

const FOLD = {
  Add: (x: number, y: number) => x + y,
  Sub: (x: number, y: number) => x - y,
  Mul: (x: number, y: number) => x * y,
  Div: (x: number, y: number) => Math.trunc(x / y),
} as const;

/** max(size, 0). */
export function clamped(b: Builder, size: Size): Size {
  return typeof size === 'number' ? Math.max(size, 0) : b.op('Max', [size, b.ints([0])]);
}

const vectorOf = (b: Builder, size: Size): Value =>
  typeof size === 'number' ? b.ints([size]) : size;

/** Sizes as one int64 vector. */
export function vector(b: Builder, sizes: readonly Size[]): Value {
  if (sizes.every((size) => typeof size === 'number')) return b.ints(sizes);
  const parts = sizes.map((size) => vectorOf(b, size));
  return parts.length === 1
    ? parts[0]!
    : b.adopt({ ...b.op('Concat', parts, { axis: 0 }), dtype: 'int64', shape: [sizes.length] });
}

/** `value` under the shape `sizes`; the product of the sizes must be that of the value. */
export function reshape(b: Builder, value: Value, sizes: readonly Size[]): Value {
  const isOnlyOpen = sizes.filter((size) => typeof size !== 'number').length === 1;
  const target = sizes.map((size) => (isOnlyOpen && typeof size !== 'number' ? -1 : size));
  const shape = sizes.map((size) => (typeof size === 'number' ? size : b.fresh()));
  return known(b, b.op('Reshape', [value, vector(b, target)]), value, shape);
}

/** `made`, of which the shape is known to be `shape` and the type that of `like`. */
export function known(b: Builder, made: Value, like: Value, shape: Shape): Value {
  return b.adopt({ ...made, dtype: like.dtype, shape });
}

/** A value full of zeros with the type of `like`. */
export function zeros(b: Builder, like: Value, sizes: readonly Size[]): Value {
  const shape = sizes.map((size) => (typeof size === 'number' ? size : b.fresh()));
  return known(b, b.op('Expand', [b.scalar(0, like), vector(b, sizes)]), like, shape);
}

/** Puts `begins` and `ends` zeros (or takes elements away, when negative) around the axes from `first`. */
export function pad(
  b: Builder,
  value: Value,
  first: number,
  begins: readonly Size[],
  ends: readonly Size[],
): Value {
  if ([...begins, ...ends].every((count) => count === 0)) return value;
  const lead = Array.from({ length: first }, () => 0);
  const pads = vector(b, [...lead, ...begins, ...lead, ...ends]);
  const shape = dims(value).map((dim, i) => {
    if (i < first) return dim;
    const [begin, end] = [begins[i - first]!, ends[i - first]!];
    const isKnown = typeof dim === 'number' && typeof begin === 'number' && typeof end === 'number';
    return isKnown ? dim + begin + end : begin === 0 && end === 0 ? dim : b.fresh();
  });
  return known(
    b,
    b.op('Pad', [value, pads, b.scalar(0, value)], { mode: 'constant' }),
    value,
    shape,
  );
}
