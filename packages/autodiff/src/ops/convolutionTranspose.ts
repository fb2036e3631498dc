import { MedleyError } from '@medley/kit';
import type { Builder } from '../graph/builder.ts';
import { dims, intOf, intsOf, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import type { Dim, Shape } from '../graph/shape.ts';
import { biasGradient, kernelOf, refuseOpenKernel } from './convolution.ts';
import { weightGradient } from './convolutionWeight.ts';
import { clamped, combine, known, pad, sizeAt, type Size } from './sizes.ts';
import { isSame, windowOf, type Window } from './window.ts';

type Node = Pick<InferContext, 'attributes'>;

/** What one spatial axis is stretched to before padding is taken away: step · (size − 1) + extent. */
interface Stretch {
  readonly step: number;
  /** Reach of the kernel plus output padding; undefined for a kernel of unknown size. */
  readonly extent: number | undefined;
}

function stretchOf(node: Node, w: Window): readonly Stretch[] {
  const extra = intsOf(node, 'output_padding');
  return w.strides.map((step, i) => {
    const k = w.kernel[i]!;
    const reach = typeof k === 'number' ? (k - 1) * w.dilations[i]! + 1 : undefined;
    return { step, extent: reach === undefined ? undefined : reach + (extra?.[i] ?? 0) };
  });
}

/** The spatial sizes asked for by output_shape, which may name the first two axes as well. */
const wanted = (node: Node, rank: number): readonly number[] | undefined => {
  const given = intsOf(node, 'output_shape');
  return given === undefined || given.length === 0 ? undefined : given.slice(-rank);
};

/** Padding taken away on each axis in all, when it does not depend on the input's size. */
function fixedTotal(
  node: Node,
  w: Window,
  { step, extent }: Stretch,
  i: number,
): number | undefined {
  if (!isSame(node)) return w.pads!.begins[i]! + w.pads!.ends[i]!;
  return extent === undefined ? undefined : Math.max(extent - step, 0);
}

function inferConvTranspose(c: InferContext): readonly Inferred[] {
  const [x, w] = c.inputs;
  if (x?.shape === undefined || w?.shape === undefined) {
    return [{ dtype: x?.dtype, shape: undefined }];
  }
  const spatial = x.shape.slice(2);
  const window = windowOf(c, kernelOf(c), spatial);
  const given = wanted(c, spatial.length);
  const stretches = stretchOf(c, window);
  const sizes = given ?? spatial.map((size, i) => stretched(c, window, stretches[i]!, size, i));
  const [part, group] = [w.shape[1]!, intOf(c, 'group', 1)];
  const channels = typeof part === 'number' ? part * group : group === 1 ? part : c.fresh();
  return [{ dtype: x.dtype, shape: [x.shape[0]!, channels, ...sizes] }];
}

function stretched(c: InferContext, w: Window, stretch: Stretch, size: Dim, i: number): Dim {
  const total = fixedTotal(c, w, stretch, i);
  if (total === undefined || stretch.extent === undefined) return c.fresh();
  const rest = stretch.extent - stretch.step - total;
  if (typeof size === 'string') return stretch.step === 1 && rest === 0 ? size : c.fresh();
  return size * stretch.step + rest;
}

/** Padding of each axis, before and after; what output_shape asks for follows from the input's size. */
function padsOf(
  b: Builder,
  node: Node,
  w: Window,
  x: Value,
): { readonly begins: readonly Size[]; readonly ends: readonly Size[] } {
  const given = wanted(node, w.strides.length);
  if (given === undefined && w.pads !== undefined && !isSame(node)) return w.pads;
  const totals = stretchOf(node, w).map((stretch, i) => {
    if (given === undefined) return fixedTotal(node, w, stretch, i)!;
    if (stretch.extent === undefined) {
      throw new MedleyError('MODEL_INVALID', 'the kernel size is not known');
    }
    const before = combine(b, 'Sub', sizeAt(b, x, i + 2), 1);
    const all = combine(b, 'Add', combine(b, 'Mul', before, stretch.step), stretch.extent);
    return combine(b, 'Sub', all, given[i]!);
  });
  // Only SAME_UPPER puts the odd element at the end (ONNX, ConvTranspose).
  const odd = stringOf(node, 'auto_pad', 'NOTSET') === 'SAME_UPPER' ? 0 : 1;
  const begins = totals.map((total) =>
    combine(b, 'Div', combine(b, 'Add', clamped(b, total), odd), 2),
  );
  return { begins, ends: totals.map((total, i) => combine(b, 'Sub', total, begins[i]!)) };
}

// y = ConvTranspose(x, w) is the input gradient of a Conv with the same weight; so x's gradient is that
// Conv of dY, and w's is the weight gradient of that Conv with x in the place of its output's gradient.
const convTranspose: GradientRule = ({ b, attributes, inputs: [x, w, bias], needs }, [g]) => {
  const node = { attributes };
  const kernel = kernelOf({ attributes, inputs: [x, w] });
  const window = windowOf(node, kernel, dims(x!).slice(2));
  const { strides, dilations } = window;
  const group = intOf(node, 'group', 1);
  const { wide, begins, ends } = widened(b, node, window, x!, g!);
  const weight = { ...w!, shape: [...dims(w!).slice(0, 2), ...kernel] };
  const task = { b, x: wide, dY: x!, w: weight, strides, dilations, begins, ends, group };
  const back = (): Value =>
    b.op('Conv', [wide, w], { strides, dilations, group, pads: [...begins, ...ends] });
  return [
    needs[0] ? known(b, back(), x!, dims(x!)) : undefined,
    needs[1] ? weightGradient(task) : undefined,
    needs[2] && bias !== undefined ? biasGradient(b, g!, bias) : undefined,
  ];
};

/** `g` with padding that Conv takes as an attribute: numbers from 0; other padding is done at once. */
function widened(b: Builder, node: Node, w: Window, x: Value, g: Value) {
  const { begins, ends } = padsOf(b, node, w, x);
  const isPlain = (list: readonly Size[]): list is readonly number[] =>
    list.every((count) => typeof count === 'number' && count >= 0);
  if (isPlain(begins) && isPlain(ends)) return { wide: g, begins, ends };
  const none: readonly number[] = w.strides.map(() => 0);
  return { wide: pad(b, g, 2, begins, ends), begins: none, ends: none };
}

function refuse(c: InferContext): string | undefined {
  const kernel: Shape = kernelOf(c);
  const isOpen =
    wanted(c, kernel.length) !== undefined && kernel.some((k) => typeof k !== 'number');
  return isOpen ? 'output_shape needs a known kernel size: give kernel_shape' : refuseOpenKernel(c);
}

/** ConvTranspose over any number of spatial axes. */
export const CONVOLUTION_TRANSPOSE: readonly Operator[] = [
  { op: 'ConvTranspose', infer: inferConvTranspose, gradient: convTranspose, refuse },
];
