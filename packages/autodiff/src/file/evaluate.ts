import type { DType } from '../graph/dtype.ts';
import { attributes, intOf, intsOf, type Attributes } from '../graph/graph.ts';
import { axisOf, broadcast } from '../graph/shape.ts';
import { bytesOf, elementCount, numbersOf, type Tensor } from '../graph/tensor.ts';

/** A node's result is computed here only up to this many elements: shapes, not data. */
const MAX_ELEMENTS = 2 ** 16;

/** A small tensor as numbers, row-major. */
interface Small {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

type Evaluation = (
  inputs: readonly Small[],
  node: { readonly attributes: Attributes },
) => Small | undefined;

const TYPED: Partial<Record<DType, (data: readonly number[]) => NodeJS.TypedArray>> = {
  float32: (data) => Float32Array.from(data),
  float64: (data) => Float64Array.from(data),
  int64: (data) => BigInt64Array.from(data, (value) => BigInt(value)),
  int32: (data) => Int32Array.from(data),
  bool: (data) => Uint8Array.from(data, Number),
};

const BY_CODE: Readonly<Record<number, DType>> = {
  1: 'float32',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  11: 'float64',
};

/**
 * The result of a node whose inputs are all constant, undefined for operators, types and sizes that are
 * not computed here. Meant for the arithmetic of shapes that exporters leave in graphs.
 */
export function evaluate(
  node: { readonly op: string; readonly attributes: Attributes },
  inputs: readonly (Tensor | undefined)[],
): Tensor | undefined {
  const evaluation = EVALUATIONS[node.op];
  if (evaluation === undefined) return undefined;
  const small: Small[] = [];
  for (const tensor of inputs) {
    if (tensor === undefined || elementCount(tensor.dims) > MAX_ELEMENTS) return undefined;
    const data = numbersOf(tensor);
    if (data === undefined) return undefined;
    small.push({ dtype: tensor.dtype, dims: tensor.dims, data });
  }
  const result = evaluation(small, node);
  if (result === undefined || !isSound(result)) return undefined;
  const typed = TYPED[result.dtype]?.(result.data);
  return typed && { dtype: result.dtype, dims: result.dims, bytes: bytesOf(typed) };
}

function isSound({ dtype, dims, data }: Small): boolean {
  const isWhole = dtype.startsWith('float') || data.every(Number.isSafeInteger);
  const isShape = dims.every((size) => Number.isSafeInteger(size) && size >= 0);
  return isWhole && isShape && elementCount(dims) === data.length && data.length <= MAX_ELEMENTS;
}

/** Elements of `x` picked by a function from the place in the result to the place in `x`. */
function picked(
  x: Small,
  dims: readonly number[],
  from: (at: readonly number[]) => readonly number[],
) {
  const count = elementCount(dims);
  if (count > MAX_ELEMENTS) return undefined;
  const data: number[] = [];
  for (let flat = 0; flat < count; flat++) {
    const place = from(placeOf(flat, dims));
    const index = place.reduce((sum, at, axis) => sum * x.dims[axis]! + at, 0);
    const value = x.data[index];
    if (value === undefined) return undefined;
    data.push(value);
  }
  return { dtype: x.dtype, dims, data };
}

function placeOf(flat: number, dims: readonly number[]): readonly number[] {
  const place: number[] = [];
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    place.unshift(flat % dims[axis]!);
    flat = Math.floor(flat / dims[axis]!);
  }
  return place;
}

function expanded(x: Small, dims: readonly number[]): Small | undefined {
  const skip = dims.length - x.dims.length;
  return picked(x, dims, (at) => x.dims.map((size, axis) => (size === 1 ? 0 : at[axis + skip]!)));
}

const elementwise =
  (compute: (a: number, b: number) => number, dtype?: DType): Evaluation =>
  ([a, b]) => {
    if (a === undefined || b === undefined) return undefined;
    const dims = broadcast([a.dims, b.dims], () => '?') as readonly number[] | undefined;
    const [left, right] = dims === undefined ? [] : [expanded(a, dims), expanded(b, dims)];
    if (dims === undefined || left === undefined || right === undefined) return undefined;
    const data = left.data.map((value, i) => compute(value, right.data[i]!));
    return { dtype: dtype ?? a.dtype, dims, data };
  };

const unary =
  (compute: (a: number) => number): Evaluation =>
  ([x]) =>
    x && { ...x, data: x.data.map(compute) };

const divide: Evaluation = (inputs, node) =>
  elementwise(inputs[0]?.dtype.startsWith('float') ? (a, b) => a / b : (a, b) => Math.trunc(a / b))(
    inputs,
    node,
  );

/** With the sign of the divisor, or with fmod=1 that of the dividend. */
const mod: Evaluation = (inputs, node) =>
  elementwise(intOf(node, 'fmod', 0) === 1 ? (a, b) => a % b : (a, b) => a - b * Math.floor(a / b))(
    inputs,
    node,
  );

const cast: Evaluation = ([x], node) => {
  const dtype = BY_CODE[intOf(node, 'to', 0)];
  if (x === undefined || dtype === undefined) return undefined;
  const turn =
    dtype === 'bool'
      ? (v: number) => Number(v !== 0)
      : dtype.startsWith('int')
        ? Math.trunc
        : (v: number) => v;
  return { dtype, dims: x.dims, data: x.data.map(turn) };
};

const reshape: Evaluation = ([x, shape], node) => {
  if (x === undefined || shape === undefined) return undefined;
  const keepsZero = intOf(node, 'allowzero', 0) === 1;
  const wanted = shape.data.map((size, i) => (size === 0 && !keepsZero ? (x.dims[i] ?? 0) : size));
  const rest = wanted.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
  const dims = wanted.map((size) => (size === -1 ? x.data.length / rest : size));
  return elementCount(dims) === x.data.length ? { ...x, dims } : undefined;
};

const transpose: Evaluation = ([x], node) => {
  if (x === undefined) return undefined;
  const perm = intsOf(node, 'perm') ?? x.dims.map((_, i, all) => all.length - 1 - i);
  const dims = perm.map((from) => x.dims[from] ?? 0);
  return picked(x, dims, (at) => x.dims.map((_, axis) => at[perm.indexOf(axis)]!));
};

const slice: Evaluation = ([x, starts, ends, axes, steps]) => {
  if (x === undefined || starts === undefined || ends === undefined) return undefined;
  const ranges = x.dims.map((size) => ({ start: 0, step: 1, count: size }));
  for (const [i, begin] of starts.data.entries()) {
    const axis = axisOf(axes?.data[i] ?? i, x.dims.length);
    const [step, end] = [steps?.data[i] ?? 1, ends.data[i]];
    if (axis === undefined || step === 0 || end === undefined) return undefined;
    const size = x.dims[axis]!;
    const clamp = (at: number): number => {
      const place = at < 0 ? at + size : at;
      return step > 0
        ? Math.min(Math.max(place, 0), size)
        : Math.min(Math.max(place, -1), size - 1);
    };
    const start = clamp(begin);
    ranges[axis] = { start, step, count: Math.max(0, Math.ceil((clamp(end) - start) / step)) };
  }
  return picked(
    x,
    ranges.map(({ count }) => count),
    (at) => at.map((place, axis) => ranges[axis]!.start + place * ranges[axis]!.step),
  );
};

const concat: Evaluation = (inputs, node) => {
  const [first] = inputs;
  const axis = axisOf(intOf(node, 'axis', 0), first?.dims.length ?? 0);
  if (first === undefined || axis === undefined) return undefined;
  const sizes = inputs.map(({ dims }) => dims[axis] ?? 0);
  const dims = first.dims.map((size, i) => (i === axis ? sizes.reduce((a, b) => a + b, 0) : size));
  if (elementCount(dims) > MAX_ELEMENTS) return undefined;
  const inner = elementCount(first.dims.slice(axis + 1));
  const outer = elementCount(first.dims.slice(0, axis));
  const data = Array.from({ length: outer }, (_, row) =>
    inputs.flatMap((x, i) => x.data.slice(row * sizes[i]! * inner, (row + 1) * sizes[i]! * inner)),
  ).flat();
  return data.length === elementCount(dims) ? { dtype: first.dtype, dims, data } : undefined;
};

const gather: Evaluation = ([x, indices], node) => {
  const axis = axisOf(intOf(node, 'axis', 0), x?.dims.length ?? 0);
  if (x === undefined || indices === undefined || axis === undefined) return undefined;
  const size = x.dims[axis]!;
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)];
  return picked(x, dims, (at) => {
    const place = at.slice(axis, axis + indices.dims.length);
    const flat = place.reduce((sum, part, i) => sum * indices.dims[i]! + part, 0);
    const index = indices.data[flat]!;
    const source = index < 0 ? index + size : index;
    return [
      ...at.slice(0, axis),
      source < size ? source : NaN,
      ...at.slice(axis + indices.dims.length),
    ];
  });
};

const constantOfShape: Evaluation = ([shape], node) => {
  const value = node.attributes.get('value');
  const fill = value?.kind === 'tensor' ? value.value : undefined;
  const number = fill === undefined ? 0 : numbersOf(fill)?.[0];
  const count = elementCount(shape?.data ?? []);
  if (shape === undefined || number === undefined || !(count <= MAX_ELEMENTS)) return undefined;
  const data = Array.from({ length: count }, () => number);
  return { dtype: fill?.dtype ?? 'float32', dims: shape.data, data };
};

const range: Evaluation = ([start, limit, delta]) => {
  const [from, to, step] = [start?.data[0], limit?.data[0], delta?.data[0]];
  if (start === undefined || from === undefined || to === undefined || !step) return undefined;
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= MAX_ELEMENTS)) return undefined;
  const data = Array.from({ length: count }, (_, i) => from + i * step);
  return { dtype: start.dtype, dims: [count], data };
};

const unsqueeze: Evaluation = ([x, axes]) => {
  if (x === undefined || axes === undefined) return undefined;
  const rank = x.dims.length + axes.data.length;
  const added = axes.data.map((axis) => axisOf(axis, rank));
  const rest = [...x.dims];
  const dims = Array.from({ length: rank }, (_, i) =>
    added.includes(i) ? 1 : (rest.shift() ?? 1),
  );
  return { ...x, dims };
};

const squeeze: Evaluation = ([x, axes]) => {
  if (x === undefined) return undefined;
  const gone = axes?.data.map((axis) => axisOf(axis, x.dims.length));
  const dims = x.dims.filter((size, i) => (gone === undefined ? size !== 1 : !gone.includes(i)));
  return elementCount(dims) === x.data.length ? { ...x, dims } : undefined;
};

const shape: Evaluation = ([x], node) => {
  if (x === undefined) return undefined;
  const end = intOf(node, 'end', x.dims.length);
  const data = x.dims.slice(intOf(node, 'start', 0), end);
  return { dtype: 'int64', dims: [data.length], data };
};

const where: Evaluation = ([condition, a, b], node) => {
  if (condition === undefined || a === undefined || b === undefined) return undefined;
  const none = { attributes: attributes({}) };
  const left = elementwise((_, value) => value, a.dtype)([condition, a], none);
  const dims = left && elementwise((value) => value, a.dtype)([left, b], node)?.dims;
  const parts = dims && [condition, a, b].map((x) => expanded(x, dims)?.data);
  const [mask, first, second] = parts ?? [];
  if (!dims || !mask || !first || !second) return undefined;
  return { dtype: a.dtype, dims, data: mask.map((yes, i) => (yes ? first[i]! : second[i]!)) };
};

const EVALUATIONS: Readonly<Record<string, Evaluation>> = {
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: divide,
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Equal: elementwise((a, b) => Number(a === b), 'bool'),
  Mod: mod,
  Less: elementwise((a, b) => Number(a < b), 'bool'),
  Greater: elementwise((a, b) => Number(a > b), 'bool'),
  LessOrEqual: elementwise((a, b) => Number(a <= b), 'bool'),
  GreaterOrEqual: elementwise((a, b) => Number(a >= b), 'bool'),
  And: elementwise((a, b) => a & b, 'bool'),
  Or: elementwise((a, b) => a | b, 'bool'),
  Not: unary((value) => Number(value === 0)),
  Abs: unary(Math.abs),
  Neg: unary((value) => -value),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Sqrt: unary(Math.sqrt),
  Identity: unary((value) => value),
  Cast: cast,
  Reshape: reshape,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Gather: gather,
  ConstantOfShape: constantOfShape,
  Range: range,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Shape: shape,
  Size: ([x]) => x && { dtype: 'int64', dims: [], data: [x.data.length] },
  Expand: ([x, sizes], node) => {
    if (x === undefined || sizes === undefined || elementCount(sizes.data) > MAX_ELEMENTS)
      return undefined;
    const like = constantOfShape([sizes], { attributes: attributes({}) });
    return like && elementwise((value) => value, x.dtype)([x, like], node);
  },
  Where: where,
};
