import type { Builder } from '../graph/builder.ts';
import { constantOf, dims, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { sum } from '../graph/symbol.ts';
import { pickedFrom } from './iota.ts';
import { clamped, combine, pad, sizeAt, type Size } from './sizes.ts';

/** Bounds from here on mean "to the end", as exporters write it. */
const TO_THE_END = 2 ** 31 - 1;

/** What a Slice takes from one axis. */
interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The cuts of a Slice whose bounds, axes and steps are all constant. */
function cutsOf(c: Pick<InferContext, 'inputs'>): readonly Cut[] | undefined {
  const [x, startInput, endInput, axisInput, stepInput] = c.inputs;
  const [starts, ends] = [constantOf(startInput), constantOf(endInput)];
  const rank = x?.shape?.length;
  if (starts === undefined || ends === undefined || rank === undefined) return undefined;
  const axes = axisInput === undefined ? starts.map((_, i) => i) : constantOf(axisInput);
  const steps = stepInput === undefined ? starts.map(() => 1) : constantOf(stepInput);
  if (axes === undefined || steps === undefined) return undefined;
  return starts.map((start, i) => ({
    axis: axisOf(axes[i] ?? rank, rank) ?? rank,
    start,
    end: ends[i] ?? TO_THE_END,
    step: steps[i] ?? 1,
  }));
}

// With steps of 1 the gradient is dY with zeros around it; else every element goes back by its place.
const slice: GradientRule = (c, [g]) => {
  const { b, inputs } = c;
  const [x, ...bounds] = inputs;
  const cuts = cutsOf(c);
  if (cuts?.every(({ step }) => step === 1) !== true) {
    return [pickedFrom(b, x!, g!, (at) => b.op('Slice', [at, ...bounds]))];
  }
  const begins: Size[] = dims(x!).map(() => 0);
  const ends: Size[] = dims(x!).map(() => 0);
  for (const cut of cuts) [begins[cut.axis], ends[cut.axis]] = around(c, g!, cut);
  return [b.adopt({ ...pad(b, g!, 0, begins, ends), dtype: g!.dtype, shape: dims(x!) })];
};

/** How many elements a cut with step 1 left out before and after. */
function around({ b, inputs }: GradientContext, g: Value, cut: Cut): [Size, Size] {
  const x = inputs[0]!;
  const { axis, start, end } = cut;
  const size = sizeAt(b, x, axis);
  const before =
    start < 0
      ? clamped(b, combine(b, 'Add', size, start))
      : start === 0
        ? 0
        : atMost(b, size, start);
  if (end >= TO_THE_END && start <= 0) return [before, 0];
  return [before, combine(b, 'Sub', combine(b, 'Sub', size, before), sizeAt(b, g, axis))];
}

const atMost = (b: Builder, size: Size, most: number): Size =>
  typeof size === 'number' ? Math.min(size, most) : b.op('Min', [size, b.ints([most])]);

function inferSlice(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const cuts = cutsOf(c);
  if (cuts === undefined) {
    const axes = constantOf(c.inputs[3]);
    const isCut = (i: number): boolean =>
      axes?.every((axis) => axisOf(axis, x.shape!.length) !== i) !== true;
    const open = x.shape.map((dim, i) => (isCut(i) ? (openLength(c, i) ?? c.fresh()) : dim));
    return [{ dtype: x.dtype, shape: open }];
  }
  const shape = [...x.shape];
  for (const cut of cuts) {
    const size = shape[cut.axis];
    if (size !== undefined) shape[cut.axis] = lengthOf(size, cut) ?? c.fresh();
  }
  return [{ dtype: x.dtype, shape, content: sliceContent(x, cuts) }];
}

/** The length of `x[0:n]` where `n` is a size that is known by name only and certainly fits. */
function openLength(c: InferContext, axis: number): Dim | undefined {
  const [x, starts, ends, axes, steps] = c.inputs;
  const at = constantOf(axes)?.findIndex((i) => axisOf(i, x!.shape!.length) === axis) ?? axis;
  const isPlain = steps === undefined || constantOf(steps)?.[at] === 1;
  const [start, end] = [starts?.content?.[at], ends?.content?.[at]];
  return isPlain && start === 0 && end === x!.shape![axis] ? end : undefined;
}

function lengthOf(size: Dim, { start, end, step }: Cut): Dim | undefined {
  if (typeof size === 'number') {
    const low = step > 0 ? 0 : -1;
    const high = step > 0 ? size : size - 1;
    const bound = (at: number): number =>
      Math.min(high, Math.max(low, at < 0 && at > -TO_THE_END ? at + size : at));
    return Math.max(0, Math.ceil((bound(end) - bound(start)) / step));
  }
  if (step !== 1) return undefined;
  if (start === 0 && end >= TO_THE_END) return size;
  // Of a size that is only a name, nothing says that it is large enough for the cut.
  return start < 0 && end >= TO_THE_END && start === -1 ? 1 : undefined;
}

function sliceContent(x: Value, cuts: readonly Cut[]): readonly Dim[] | undefined {
  const [cut, ...others] = cuts;
  if (x.content === undefined || x.shape?.length !== 1 || cut === undefined || others.length > 0) {
    return undefined;
  }
  const length = lengthOf(x.content.length, cut);
  if (typeof length !== 'number') return undefined;
  const { start, step } = cut;
  const first = start < 0 ? Math.max(0, start + x.content.length) : start;
  const from = Math.min(first, step > 0 ? first : x.content.length - 1);
  return Array.from({ length }, (_, i) => x.content![from + i * step]!);
}

const padding: GradientRule = ({ b, attributes, inputs }, [g]) => {
  const [x, pads, , axes] = inputs;
  const mode = stringOf({ attributes }, 'mode', 'constant');
  if (mode !== 'constant') {
    return [pickedFrom(b, x!, g!, (at) => b.op('Pad', [at, pads, undefined, axes], { mode }))];
  }
  const counts = constantOf(pads);
  const taken = counts === undefined ? b.op('Neg', [pads]) : b.ints(counts.map((count) => -count));
  const back = b.op('Pad', [g, taken, undefined, axes], { mode });
  return [b.adopt({ ...back, dtype: g!.dtype, shape: dims(x!) })];
};

function inferPad(c: InferContext): readonly Inferred[] {
  const [x, pads, , axisInput] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const rank = x.shape.length;
  const axes = axisInput === undefined ? x.shape.map((_, i) => i) : constantOf(axisInput);
  const counts = pads?.content;
  if (axes === undefined || counts?.length !== axes.length * 2) {
    return [{ dtype: x.dtype, shape: x.shape.map(c.fresh) }];
  }
  const shape = [...x.shape];
  axes.forEach((given, i) => {
    const axis = axisOf(given, rank);
    if (axis === undefined) return;
    shape[axis] = sum(sum(shape[axis]!, counts[i]!), counts[i + axes.length]!);
  });
  return [{ dtype: x.dtype, shape }];
}

/** Slice and Pad, each of which undoes the other. */
export const SLICE: readonly Operator[] = [
  { op: 'Slice', infer: inferSlice, gradient: slice, settings: [1, 2, 3, 4] },
  { op: 'Pad', infer: inferPad, gradient: padding, settings: [1, 2, 3] },
];
