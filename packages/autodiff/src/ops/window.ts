import { MedleyError } from '@medley/kit';
import type { Builder } from '../graph/builder.ts';
import { dims, intOf, intsOf, stringOf, type Attributes, type Value } from '../graph/graph.ts';
import type { Dim, Shape } from '../graph/shape.ts';
import { clamped, combine, pad, sizeAt, vector, type Size } from './sizes.ts';

type Node = { readonly attributes: Attributes };

/** How a kernel moves over the spatial axes: one entry for each, in order. */
export interface Window {
  readonly kernel: Shape;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before and after; undefined when it depends on sizes that are not known (SAME). */
  readonly pads:
    { readonly begins: readonly number[]; readonly ends: readonly number[] } | undefined;
}

/** The window of a convolution or pooling node over `spatial`. Throws MODEL_INVALID when lengths clash. */
export function windowOf(node: Node, kernel: Shape, spatial: Shape): Window {
  const rank = spatial.length;
  const list = (name: string, fallback: number): readonly number[] =>
    sized(name, intsOf(node, name) ?? Array.from({ length: rank }, () => fallback), rank);
  sized('kernel_shape', kernel, rank);
  const [strides, dilations] = [list('strides', 1), list('dilations', 1)];
  const auto = stringOf(node, 'auto_pad', 'NOTSET');
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const pads = samePads({ kernel, strides, dilations, spatial }, auto);
    return { kernel, strides, dilations, pads };
  }
  const given = (auto === 'VALID' ? undefined : intsOf(node, 'pads')) ?? [];
  if (given.length > 0) sized('pads', given, 2 * rank);
  const at = (i: number): number => given[i] ?? 0;
  const begins = strides.map((_, i) => at(i));
  const ends = strides.map((_, i) => at(rank + i));
  return { kernel, strides, dilations, pads: { begins, ends } };
}

function sized<T>(name: string, list: readonly T[], length: number): readonly T[] {
  if (list.length === length) return list;
  throw new MedleyError('MODEL_INVALID', `"${name}" has ${list.length} entries, not ${length}`);
}

/** True for auto_pad SAME_UPPER and SAME_LOWER, where the output has ⌈input / stride⌉ elements. */
export function isSame(node: Node): boolean {
  return stringOf(node, 'auto_pad', 'NOTSET').startsWith('SAME');
}

interface SameContext {
  readonly kernel: Shape;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly spatial: Shape;
}

function samePads(
  { kernel, strides, dilations, spatial }: SameContext,
  auto: string,
): Window['pads'] {
  const totals = spatial.map((size, i) => {
    const [k, stride] = [kernel[i]!, strides[i]!];
    if (typeof k !== 'number') return undefined;
    const reach = (k - 1) * dilations[i]!;
    if (stride === 1) return reach;
    if (typeof size !== 'number') return undefined;
    return Math.max((Math.ceil(size / stride) - 1) * stride + reach + 1 - size, 0);
  });
  if (!totals.every((total) => total !== undefined)) return undefined;
  const small = totals.map((total) => Math.floor(total / 2));
  const large = totals.map((total) => Math.ceil(total / 2));
  return auto === 'SAME_UPPER' ? { begins: small, ends: large } : { begins: large, ends: small };
}

/** Sizes of the result of moving `w` over `spatial`. */
export function slideShape(
  node: Node,
  w: Window,
  spatial: Shape,
  fresh: () => string,
): readonly Dim[] {
  const isCeil = intOf(node, 'ceil_mode', 0) === 1;
  return spatial.map((size, i) => {
    const stride = w.strides[i]!;
    if (isSame(node)) {
      if (stride === 1) return size;
      return typeof size === 'number' ? Math.ceil(size / stride) : fresh();
    }
    const k = w.kernel[i]!;
    if (typeof k !== 'number' || w.pads === undefined) return fresh();
    const total = w.pads.begins[i]! + w.pads.ends[i]! - (k - 1) * w.dilations[i]! - 1;
    if (typeof size !== 'number') return stride === 1 && total === -1 ? size : fresh();
    const steps = (size + total) / stride;
    if (steps < 0) throw new MedleyError('MODEL_INVALID', 'the kernel is larger than its input');
    const count = (isCeil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A last window that would start in the end padding does not exist (ONNX MaxPool, ceil_mode).
    const overruns = isCeil && (count - 1) * stride >= size + w.pads.begins[i]!;
    return overruns ? count - 1 : count;
  });
}

/** Input and window with padding that is known, whatever the node says. */
export interface Explicit {
  readonly x: Value;
  readonly begins: readonly number[];
  readonly ends: readonly number[];
  /** Back from the gradient of `x` to that of the node's own input. */
  readonly crop: (dx: Value) => Value;
}

/**
 * The padding of `w`, where it is known; otherwise (SAME with a stride over sizes without a number)
 * the input with its zeros already around it, computed from the sizes when the graph runs.
 */
export function explicit(b: Builder, node: Node, w: Window, x: Value): Explicit {
  if (w.pads !== undefined) return { x, ...w.pads, crop: (dx) => dx };
  const sizes = w.strides.map((_, i) => sizeAt(b, x, i + 2));
  const totals = sizes.map((size, i) => sameTotal(b, w, size, i));
  const small = totals.map((total) => combine(b, 'Div', total, 2));
  const large = totals.map((total, i) => combine(b, 'Sub', total, small[i]!));
  const isUpper = stringOf(node, 'auto_pad', '') === 'SAME_UPPER';
  const [begins, ends] = isUpper ? [small, large] : [large, small];
  const none = w.strides.map(() => 0);
  const crop = (dx: Value): Value => {
    const stops = begins.map((begin, i) => combine(b, 'Add', begin, sizes[i]!));
    const axes = b.ints(w.strides.map((_, i) => i + 2));
    const inner = b.op('Slice', [dx, vector(b, begins), vector(b, stops), axes]);
    return b.adopt({ ...inner, dtype: x.dtype, shape: dims(x) });
  };
  return { x: pad(b, x, 2, begins, ends), begins: none, ends: none, crop };
}

/** max((⌈size / stride⌉ − 1) · stride + reach − size, 0), reach = (kernel − 1) · dilation + 1. */
function sameTotal(b: Builder, w: Window, size: Size, i: number): Size {
  const [k, stride] = [w.kernel[i]!, w.strides[i]!];
  if (typeof k !== 'number') throw new MedleyError('MODEL_INVALID', 'the kernel size is not known');
  const reach = (k - 1) * w.dilations[i]!;
  // ⌈size / stride⌉ − 1 = ⌊(size − 1) / stride⌋ for size ≥ 1.
  const steps = combine(b, 'Div', combine(b, 'Sub', size, 1), stride);
  const last = combine(b, 'Add', combine(b, 'Mul', steps, stride), reach + 1);
  return clamped(b, combine(b, 'Sub', last, size));
}
