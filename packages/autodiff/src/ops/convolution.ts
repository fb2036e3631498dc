import type { Builder } from '../graph/builder.ts';
import { dims, intOf, intsOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { isStatic, type Shape } from '../graph/shape.ts';
import { inputGradient } from './convolutionInput.ts';
import { weightGradient } from './convolutionWeight.ts';
import { explicit, isSame, slideShape, windowOf } from './window.ts';

/** Sizes of the kernel: the attribute says what the weight's shape leaves open. */
export function kernelOf(c: Pick<InferContext, 'attributes' | 'inputs'>): Shape {
  const sizes = dims(c.inputs[1]!).slice(2);
  const given = intsOf(c, 'kernel_shape');
  return sizes.map((size, i) => (typeof size === 'number' ? size : (given?.[i] ?? size)));
}

function inferConv(c: InferContext): readonly Inferred[] {
  const [x, w] = c.inputs;
  if (x?.shape === undefined || w?.shape === undefined) {
    return [{ dtype: x?.dtype, shape: undefined }];
  }
  const spatial = x.shape.slice(2);
  const window = windowOf(c, kernelOf(c), spatial);
  const sizes = slideShape(c, window, spatial, c.fresh);
  return [{ dtype: x.dtype, shape: [x.shape[0]!, w.shape[0]!, ...sizes] }];
}

const conv: GradientRule = ({ b, attributes, inputs: [x, w, bias], needs }, [g]) => {
  const node = { attributes };
  const kernel = kernelOf({ attributes, inputs: [x, w] });
  const window = windowOf(node, kernel, dims(x!).slice(2));
  const { x: padded, begins, ends, crop } = explicit(b, node, window, x!);
  const { strides, dilations } = window;
  const group = intOf(node, 'group', 1);
  const weight = { ...w!, shape: [...dims(w!).slice(0, 2), ...kernel] };
  const task = { b, x: padded, dY: g!, w: weight, strides, dilations, begins, ends, group };
  return [
    needs[0] ? crop(inputGradient(task)) : undefined,
    needs[1] ? weightGradient(task) : undefined,
    needs[2] && bias !== undefined ? biasGradient(b, g!, bias) : undefined,
  ];
};

/** Why SAME padding cannot be found, if so. */
export function refuseOpenKernel(c: InferContext): string | undefined {
  return isSame(c) && !isStatic(kernelOf(c))
    ? 'its padding follows from a kernel size that is not known: give kernel_shape'
    : undefined;
}

/** The gradient summed over examples and positions. */
export function biasGradient(b: Builder, g: Value, bias: Value): Value {
  const axes = dims(g).flatMap((_, i) => (i === 1 ? [] : [i]));
  const summed = b.op('ReduceSum', [g, b.ints(axes)], { keepdims: 0 });
  return b.adopt({ ...summed, dtype: g.dtype, shape: dims(bias) });
}

/** Conv over any number of spatial axes. */
export const CONVOLUTION: readonly Operator[] = [
  { op: 'Conv', infer: inferConv, gradient: conv, refuse: refuseOpenKernel },
];
