import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import { isStatic, sizeOf, type Shape } from '../graph/shape.ts';
import { transposed } from './matrix.ts';
import { combine, known, pad, reshape, sizeAt, sizesFrom, vector } from './sizes.ts';

/** A convolution whose padding is known; see docs/decisions/0011. */
export interface Geometry {
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  readonly group: number;
}

/** What a weight gradient is made of: ∂/∂w of Σ ⟨dY, Conv(x, w)⟩. */
export interface WeightTask extends Geometry {
  readonly b: Builder;
  /** [N, C, sizes…], the input of the convolution. */
  readonly x: Value;
  /** [N, O, sizes…], the gradient of its output. */
  readonly dY: Value;
  /** [O, C / group, kernel…], of which the gradient has the shape. */
  readonly w: Value;
}

export type WeightFormula = (task: WeightTask) => Value;

/** The gradient of the kernel by the formula that was fastest for such shapes. */
export function weightGradient(task: WeightTask): Value {
  return formulaFor(task)(task);
}

// Measured with onnxruntime-node 1.30 on one thread; the figures stand in the decision.
function formulaFor({ x, dY, w, strides, group }: WeightTask): WeightFormula {
  const kernel = kernelOf(w);
  if (!isStatic(kernel)) return swappedConv;
  const [elements, positions] = [sizeOf(kernel)!, sizeOf(dims(dY).slice(2))];
  if (elements === 1) return byOffset;
  const ins = dims(w)[1];
  const isThin = typeof ins === 'number' && ins * elements <= THIN_COLUMNS;
  if (group === 1 && isThin) {
    const isLarge = elements > 25 && strides.some((stride) => stride > 1);
    return isLarge && dims(x)[0] !== 1 ? byExample : unfolded;
  }
  if (elements > MOST_OFFSETS) return swappedConv;
  if (group > 1) return byOffset;
  return positions !== undefined && positions <= FEW_POSITIONS ? unfolded : byOffsetLong;
}

/** Columns (channels × kernel elements) up to which one product beats one for each element. */
const THIN_COLUMNS = 200;
/** Positions of an output image up to which copying all offsets costs less than many products. */
const FEW_POSITIONS = 64;
/** Kernel elements beyond which a graph of one product for each becomes too long. */
const MOST_OFFSETS = 125;

const axesFrom = (first: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => first + i);

/**
 * The elements of padded `xp` that an element of the kernel meets, as [N, C, sizes of dY…]. The last axis
 * is cut once for each offset along it, for short runs are copied slowly; what is left are long runs.
 */
function meeting(task: WeightTask, xp: Value): (offset: readonly number[]) => Value {
  const byLast = new Map<number, Value>();
  const last = task.strides.length - 1;
  return (offset) => {
    if (last === 0) return part(task, xp, offset, [0]);
    const at = offset[last]!;
    const columns = byLast.get(at) ?? part(task, xp, offset, [last]);
    byLast.set(at, columns);
    return part(task, columns, offset, axesFrom(0, last));
  };
}

/** `xp` along the spatial axes `along` as the kernel's element `offset` meets it. */
function part(
  { b, dY, strides, dilations }: WeightTask,
  xp: Value,
  offset: readonly number[],
  along: readonly number[],
): Value {
  const starts = along.map((axis) => offset[axis]! * dilations[axis]!);
  const stops = along.map((axis, i) => {
    const reach = combine(b, 'Mul', combine(b, 'Sub', sizeAt(b, dY, axis + 2), 1), strides[axis]!);
    return combine(b, 'Add', reach, starts[i]! + 1);
  });
  const steps = along.map((axis) => strides[axis]!);
  const isWhole = along.every(
    (axis, i) => starts[i] === 0 && steps[i] === 1 && stops[i] === dims(xp)[axis + 2],
  );
  if (isWhole) return xp;
  const axes = b.ints(along.map((axis) => axis + 2));
  const made = b.op('Slice', [xp, b.ints(starts), vector(b, stops), axes, b.ints(steps)]);
  const shape = dims(xp).map((dim, i) => (along.includes(i - 2) ? dims(dY)[i]! : dim));
  return known(b, made, xp, shape);
}

/** [N, group · R, sizes…] as [N, group, R, positions]. */
function rows(b: Builder, value: Value, group: number): Value {
  const [batch, channels] = [sizeAt(b, value, 0), sizeAt(b, value, 1)];
  const positions = sizesFrom(b, value, 2).reduce((all, size) => combine(b, 'Mul', all, size), 1);
  return reshape(b, value, [batch, group, combine(b, 'Div', channels, group), positions]);
}

function offsetsOf(kernel: readonly number[]): readonly (readonly number[])[] {
  return kernel.reduce<readonly (readonly number[])[]>(
    (list, size) => list.flatMap((head) => axesFrom(0, size).map((at) => [...head, at])),
    [[]],
  );
}

const kernelOf = (w: Value): Shape => dims(w).slice(2);

/** One product of matrices for each element of the kernel. Needs a known kernel. */
export const byOffset: WeightFormula = (task) => {
  const { b, dY, w, group } = task;
  const kernel = kernelOf(w) as readonly number[];
  const slopes = rows(b, dY, group);
  const met = meeting(task, pad(b, task.x, 2, task.begins, task.ends));
  const parts = offsetsOf(kernel).map((offset) => {
    const seen = rows(b, met(offset), group);
    const each = b.op('MatMul', [slopes, transposed(b, seen)]);
    return b.op('ReduceSum', [each, b.ints([0])], { keepdims: 0 });
  });
  return stacked(b, parts, w);
};

/** Matrices [group, O / group, C / group], one for each element of the kernel, as the weight. */
function stacked(b: Builder, parts: readonly Value[], w: Value): Value {
  if (parts.length === 1) return asWeight(b, parts[0]!, w);
  const columns = parts.map((part) => b.op('Unsqueeze', [part, b.ints([-1])]));
  return asWeight(b, b.op('Concat', columns, { axis: -1 }), w);
}

const asWeight = (b: Builder, value: Value, w: Value): Value =>
  known(b, b.op('Reshape', [value, b.shapeOf(w)]), w, dims(w));

/** The same over all examples at once: channels first, then one long product per kernel element. */
export const byOffsetLong: WeightFormula = (task) => {
  const { b, dY, w, group } = task;
  const kernel = kernelOf(w) as readonly number[];
  const slopes = longRows(b, swapped(b, dY), group);
  const turned = { ...task, dY: swapped(b, dY) };
  const met = meeting(turned, pad(b, swapped(b, task.x), 2, task.begins, task.ends));
  const parts = offsetsOf(kernel).map((offset) =>
    b.op('MatMul', [slopes, transposed(b, longRows(b, met(offset), group))]),
  );
  return stacked(b, parts, w);
};

/** All elements of the kernel in one product over all examples. */
export const unfolded: WeightFormula = (task) => {
  const { b, dY, w, group } = task;
  const kernel = kernelOf(w) as readonly number[];
  const turned = { ...task, dY: swapped(b, dY) };
  const slopes = longRows(b, turned.dY, group);
  const met = meeting(turned, pad(b, swapped(b, task.x), 2, task.begins, task.ends));
  const [ins, positions] = [sizeAt(b, w, 1), sizeAt(b, slopes, 2)];
  const columns = offsetsOf(kernel).map((offset) =>
    reshape(b, met(offset), [group, ins, 1, positions]),
  );
  // Kernel elements vary fastest, as in the weight: the product needs no further transposition.
  const stack = b.op('Concat', columns, { axis: 2 });
  const all = reshape(b, stack, [group, combine(b, 'Mul', ins, columns.length), positions]);
  return asWeight(b, b.op('MatMul', [slopes, transposed(b, all)]), w);
};

function longRows(b: Builder, value: Value, group: number): Value {
  const channels = combine(b, 'Div', sizeAt(b, value, 0), group);
  const rest = sizesFrom(b, value, 1).reduce((all, size) => combine(b, 'Mul', all, size), 1);
  return reshape(b, value, [group, channels, rest]);
}

/** The first two axes exchanged. */
export function swapped(b: Builder, value: Value): Value {
  const perm = [1, 0, ...axesFrom(2, dims(value).length - 2)];
  return b.op('Transpose', [value], { perm });
}

/** Conv with examples as channels and dY as the kernel; correct for every geometry. */
export const swappedConv: WeightFormula = (task) => {
  const { b, x, dY, w, group } = task;
  const [batch, channels] = [sizeAt(b, x, 0), sizeAt(b, x, 1)];
  const spatial = sizesFrom(b, x, 2);
  const part = combine(b, 'Div', channels, group);
  const split = group === 1 ? x : reshape(b, x, [batch, group, part, ...spatial]);
  const later = axesFrom(3, spatial.length);
  const turned =
    group === 1 ? swapped(b, x) : b.op('Transpose', [split], { perm: [2, 1, 0, ...later] });
  const image =
    group === 1 ? turned : reshape(b, turned, [part, combine(b, 'Mul', batch, group), ...spatial]);
  const made = correlate(task, image, swapped(b, dY), group);
  return known(b, swapped(b, made), w, dims(w));
};

/** Conv with one group for each example, whose results are then summed. */
export const byExample: WeightFormula = (task) => {
  const { b, x, dY, w, group } = task;
  const [batch, channels] = [sizeAt(b, x, 0), sizeAt(b, x, 1)];
  if (typeof batch !== 'number') return swappedConv(task);
  const outs = sizeAt(b, dY, 1);
  const part = combine(b, 'Div', channels, group);
  const split = reshape(b, x, [batch * group, part, ...sizesFrom(b, x, 2)]);
  const kernel = reshape(b, dY, [combine(b, 'Mul', outs, batch), 1, ...sizesFrom(b, dY, 2)]);
  const made = correlate(task, swapped(b, split), kernel, batch * group);
  const each = reshape(b, made, [part, batch, outs, ...sizesFrom(b, w, 2)]);
  const summed = b.op('ReduceSum', [each, b.ints([1])], { keepdims: 0 });
  return known(b, swapped(b, summed), w, dims(w));
};

/** Conv(image, slopes) with strides and dilations exchanged, cut to the size of the kernel. */
function correlate(task: WeightTask, image: Value, slopes: Value, group: number): Value {
  const { b, w, strides, dilations, begins, ends } = task;
  const made = b.op('Conv', [image, slopes], {
    strides: dilations,
    dilations: strides,
    pads: [...begins, ...ends],
    group,
  });
  const shape = [...dims(made).slice(0, 2), ...kernelOf(w)];
  if (strides.every((stride) => stride === 1)) return known(b, made, w, shape);
  const axes = axesFrom(2, strides.length);
  const stops = vector(b, sizesFrom(b, w, 2));
  return known(b, b.op('Slice', [made, b.ints(axes.map(() => 0)), stops, b.ints(axes)]), w, shape);
}
