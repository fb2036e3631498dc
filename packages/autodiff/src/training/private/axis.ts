import { constantOf, intOf, intsOf, type Attributes, type Value } from '../../graph/graph.ts';
import type { Maybe } from '../../graph/infer.ts';
import { axisOf, type Shape } from '../../graph/shape.ts';

/** A node that reads rows, as an axis rule sees it. */
export interface RowNode {
  readonly attributes: Attributes;
  readonly inputs: readonly Maybe[];
  readonly outputs: readonly Value[];
  /** Which axis of input `i` counts the rows; undefined when the input is the same for all rows. */
  readonly axis: (i: number) => number | undefined;
}

/** Axis of the outputs that counts the rows when each row of them depends on that row alone; else undefined. */
export type AxisRule = (n: RowNode) => number | undefined;

const shapeOf = (value: Maybe): Shape => value?.shape ?? [];
const rankOf = (value: Maybe): number => shapeOf(value).length;

/** The axis of input 0 when no other input has rows. */
const first = (n: RowNode): number | undefined =>
  n.inputs.every((_, i) => i === 0 || n.axis(i) === undefined) ? n.axis(0) : undefined;

/** Rows on axis 0 of a tensor [rows, channels, ...]; all else is the same for all rows. */
const leading: AxisRule = (n) =>
  first(n) === 0 && intOf(n, 'training_mode', 0) === 0 ? 0 : undefined;

/** Operands aligned at their last axes: rows meet rows, and size 1 or nothing elsewhere. */
function aligned(n: RowNode, rank: number): number | undefined {
  let found: number | undefined;
  for (const [i, input] of n.inputs.entries()) {
    const axis = n.axis(i);
    if (axis === undefined) continue;
    const place = axis + rank - rankOf(input);
    if (found !== undefined && found !== place) return undefined;
    found = place;
  }
  if (found === undefined) return undefined;
  const at = found;
  const fits = n.inputs.every((input, i) => {
    const dim = shapeOf(input)[at - rank + rankOf(input)];
    return n.axis(i) !== undefined || dim === undefined || dim === 1;
  });
  return fits ? at : undefined;
}

const elementwise: AxisRule = (n) => aligned(n, rankOf(n.outputs[0]));

const matMul: AxisRule = (n) => {
  const [x, w] = n.inputs;
  const [left, right] = [n.axis(0), n.axis(1)];
  const rank = Math.max(rankOf(x), rankOf(w));
  // Rows of a matrix times a matrix that all rows share.
  if (right === undefined && left === rankOf(x) - 2 && rankOf(w) === 2) return left;
  if (rankOf(x) < 2 || rankOf(w) < 2) return undefined;
  const isInner = (axis: number | undefined, value: Maybe): boolean =>
    axis !== undefined && axis >= rankOf(value) - 2;
  return isInner(left, x) || isInner(right, w) ? undefined : aligned(n, rank);
};

const gemm: AxisRule = (n) => {
  if (n.axis(1) !== undefined || n.axis(0) !== intOf(n, 'transA', 0)) return undefined;
  const [c, bias] = [n.axis(2), n.inputs[2]];
  const hasRows = c !== undefined && rankOf(bias) === 2 && c === 0;
  const isShared = c === undefined && (rankOf(bias) < 2 || shapeOf(bias)[0] === 1);
  return hasRows || isShared ? 0 : undefined;
};

const reduce: AxisRule = (n) => {
  const [axis, rank] = [first(n), rankOf(n.inputs[0])];
  const given = n.inputs[1] === undefined ? [] : constantOf(n.inputs[1]);
  if (axis === undefined || given === undefined) return undefined;
  if (given.length === 0) return intOf(n, 'noop_with_empty_axes', 0) === 1 ? axis : undefined;
  return without(
    axis,
    given.map((at) => axisOf(at, rank) ?? rank),
    intOf(n, 'keepdims', 1) === 1,
  );
};

/** Where `axis` goes when `gone` are removed or shrunk to 1; undefined when it is one of them. */
function without(axis: number, gone: readonly number[], keeps: boolean): number | undefined {
  if (gone.includes(axis)) return undefined;
  return keeps ? axis : axis - gone.filter((at) => at < axis).length;
}

/** ArgMax and ArgMin: one axis, as an attribute. */
const argument: AxisRule = (n) => {
  const axis = first(n);
  const gone = axisOf(intOf(n, 'axis', 0), rankOf(n.inputs[0])) ?? 0;
  return axis === undefined ? undefined : without(axis, [gone], intOf(n, 'keepdims', 1) === 1);
};

/** Works along one axis, which must not be that of the rows; inputs with rows have them at the same place. */
const along =
  (fallback: number): AxisRule =>
  (n) => {
    const axis = n.axis(0);
    const at = axisOf(intOf(n, 'axis', fallback), rankOf(n.inputs[0]));
    return axis !== undefined && at !== undefined && axis !== at ? first(n) : undefined;
  };

const concat: AxisRule = (n) => {
  const axes = n.inputs.map((_, i) => n.axis(i));
  const at = axisOf(intOf(n, 'axis', 0), rankOf(n.outputs[0]));
  const [axis] = axes;
  return axis !== undefined && axis !== at && axes.every((other) => other === axis)
    ? axis
    : undefined;
};

const transpose: AxisRule = (n) => {
  const rank = rankOf(n.inputs[0]);
  const perm = intsOf(n, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  const to = perm.indexOf(n.axis(0) ?? -1);
  return to < 0 ? undefined : to;
};

// Row-major: the sizes up to and with the rows stay, so that what lies behind them stays with its row.
const reshape: AxisRule = (n) => {
  const axis = first(n);
  const [from, to] = [shapeOf(n.inputs[0]), shapeOf(n.outputs[0])];
  if (axis === undefined) return undefined;
  return from.slice(0, axis + 1).every((dim, i) => dim === to[i]) ? axis : undefined;
};

const squeeze: AxisRule = (n) => {
  const [axis, rank] = [first(n), rankOf(n.inputs[0])];
  const given = constantOf(n.inputs[1]);
  if (axis === undefined || given === undefined) return undefined;
  return without(
    axis,
    given.map((at) => axisOf(at, rank) ?? rank),
    false,
  );
};

const unsqueeze: AxisRule = (n) => {
  const axis = first(n);
  const given = constantOf(n.inputs[1]);
  if (axis === undefined || given === undefined) return undefined;
  const rank = rankOf(n.inputs[0]) + given.length;
  const added = new Set(given.map((at) => axisOf(at, rank)));
  const kept = Array.from({ length: rank }, (_, i) => i).filter((i) => !added.has(i));
  return kept[axis];
};

const gather: AxisRule = (n) => {
  const at = axisOf(intOf(n, 'axis', 0), rankOf(n.inputs[0])) ?? 0;
  const [data, indices] = [n.axis(0), n.axis(1)];
  if (data === undefined) return indices === undefined ? undefined : at + indices;
  if (indices !== undefined || data === at) return undefined;
  return data < at ? data : data + rankOf(n.inputs[1]) - 1;
};

const gatherElements: AxisRule = (n) => {
  const at = axisOf(intOf(n, 'axis', 0), rankOf(n.inputs[0]));
  const [data, indices] = [n.axis(0), n.axis(1)];
  return data !== undefined && data === indices && data !== at ? data : undefined;
};

/** Slice and Pad, which leave the axis of the rows as it is. */
const cut: AxisRule = (n) => {
  const axis = first(n);
  const [from, to] = [shapeOf(n.inputs[0]), shapeOf(n.outputs[0])];
  return axis !== undefined && from[axis] !== undefined && from[axis] === to[axis]
    ? axis
    : undefined;
};

/** Slice without a step on the rows; −1 there would mix nothing in size but everything in order. */
const slice: AxisRule = (n) => {
  const [starts, axes] = [constantOf(n.inputs[1]), constantOf(n.inputs[3])];
  const rank = rankOf(n.inputs[0]);
  const touched = axes ?? starts?.map((_, i) => i);
  const axis = first(n);
  if (axis === undefined || touched === undefined) return undefined;
  return touched.some((at) => axisOf(at, rank) === axis) ? undefined : axis;
};

const pad: AxisRule = (n) => {
  const [pads, rank] = [constantOf(n.inputs[1]), rankOf(n.inputs[0])];
  const axis = first(n);
  if (axis === undefined || pads === undefined || n.inputs[3] !== undefined) return undefined;
  return pads[axis] === 0 && pads[axis + rank] === 0 ? axis : undefined;
};

const expand: AxisRule = (n) => {
  const axis = first(n);
  if (axis === undefined) return undefined;
  const place = axis + rankOf(n.outputs[0]) - rankOf(n.inputs[0]);
  return shapeOf(n.outputs[0])[place] === shapeOf(n.inputs[0])[axis] ? place : undefined;
};

const layerNorm: AxisRule = (n) => {
  const axis = first(n);
  const at = axisOf(intOf(n, 'axis', -1), rankOf(n.inputs[0]));
  return axis !== undefined && at !== undefined && axis < at ? axis : undefined;
};

/** A new axis for the classes of each index. */
const oneHot: AxisRule = (n) => {
  const axis = first(n);
  const at = axisOf(intOf(n, 'axis', -1), rankOf(n.inputs[0]) + 1);
  return axis === undefined || at === undefined ? undefined : axis < at ? axis : axis + 1;
};

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Dropout';
const BROADCAST =
  'Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow PRelu Sub Sum Where Xor';
const REDUCE =
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare';
const BY_IMAGE =
  'Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool InstanceNormalization GroupNormalization LRN DepthToSpace SpaceToDepth BatchNormalization';

const all = (names: string, rule: AxisRule): [string, AxisRule][] =>
  names.split(' ').map((op) => [op, rule]);

/** The operators whose effect on rows is known; a model with any other takes the loop over examples. */
export const AXIS_RULES: ReadonlyMap<string, AxisRule> = new Map([
  ...all(UNARY, first),
  ...all(BROADCAST, elementwise),
  ...all(REDUCE, reduce),
  ...all(BY_IMAGE, leading),
  ...all('ArgMax ArgMin', argument),
  ...all('Softmax LogSoftmax Hardmax', along(-1)),
  ...all('Split LpNormalization', along(0)),
  ...all('CastLike', (n) => n.axis(0)),
  ...all('Concat', concat),
  ...all('Expand', expand),
  ...all('Flatten Reshape', reshape),
  ...all('Gather', gather),
  ...all('GatherElements', gatherElements),
  ...all('Gemm', gemm),
  ...all('LayerNormalization', layerNorm),
  ...all('MatMul', matMul),
  ...all('OneHot', oneHot),
  ...all('Pad', (n) => (cut(n) === undefined ? undefined : pad(n))),
  ...all('Slice', slice),
  ...all('Squeeze', squeeze),
  ...all('Transpose', transpose),
  ...all('Unsqueeze', unsqueeze),
]);
