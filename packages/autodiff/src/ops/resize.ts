import type { Builder } from '../graph/builder.ts';
import {
  constantOf,
  dims,
  intsOf,
  stringOf,
  type AttributeInput,
  type Value,
} from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { known } from './sizes.ts';
import { transposeOf, type AxisMap } from './separable.ts';

type Node = Pick<InferContext, 'attributes' | 'inputs'>;

/** The axes that scales or sizes speak of, in their order. */
function axesOf(node: Node, rank: number): readonly number[] {
  const given = intsOf(node, 'axes');
  return given === undefined
    ? Array.from({ length: rank }, (_, i) => i)
    : given.map((axis) => axisOf(axis, rank) ?? rank);
}

/** An optional input that exporters leave empty in two ways: absent, or a constant without elements. */
function given(value: Value | undefined): Value | undefined {
  return value?.shape?.length === 1 && value.shape[0] === 0 ? undefined : value;
}

function inferResize(c: InferContext): readonly Inferred[] {
  const [x, , scalesInput, sizesInput] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const shape: Dim[] = [...x.shape];
  const [sizes, scales] = [given(sizesInput), constantOf(given(scalesInput))];
  for (const [at, axis] of axesOf(c, shape.length).entries()) {
    const [from, scale] = [shape[axis]!, scales?.[at]];
    if (sizes !== undefined) shape[axis] = sizes.content?.[at] ?? c.fresh();
    else if (scale === 1) shape[axis] = from;
    else {
      const isKnown = scale !== undefined && typeof from === 'number';
      shape[axis] = isKnown ? Math.floor(from * scale) : c.fresh();
    }
  }
  return [{ dtype: x.dtype, shape }];
}

// Interpolation is linear in x and works on each axis alone.
const resize: GradientRule = (c, [g]) => {
  const { b } = c;
  const x = c.inputs[0]!;
  return [blocks(c, g!) ?? transposeOf(b, x, g!, mapsOf(c))];
};

/** What the node does to each axis that it may change. */
function mapsOf({ b, attributes, inputs, outputs }: GradientContext): readonly AxisMap[] {
  const node = { attributes, inputs };
  const [x, , scalesInput, sizesInput] = inputs;
  const [from, to] = [dims(x!), dims(outputs[0]!)];
  const [scales, sizes] = [given(scalesInput), given(sizesInput)];
  const ratios = constantOf(scales);
  const settings: Record<string, AttributeInput> = {};
  for (const [name, { value }] of attributes) {
    if (name !== 'axes') settings[name] = setting(name, value as AttributeInput);
  }
  return axesOf(node, from.length).flatMap((axis, at) => {
    const isKept = ratios === undefined ? from[axis] === to[axis] : ratios[at] === 1;
    if (isKept) return [];
    const part = (list: Value, ones: Value): Value => {
      const own = b.op('Slice', [list, b.ints([at]), b.ints([at + 1])]);
      return b.op('Concat', [ones, own], { axis: 0 });
    };
    const apply = (rows: Value): Value => {
      const image = b.op('Unsqueeze', [rows, b.ints([0, 1])]);
      const target =
        sizes === undefined
          ? [part(scales!, b.constant(floatTensor([3], [1, 1, 1]))), undefined]
          : [undefined, part(sizes, headOf(b, image))];
      const made = b.op('Resize', [image, undefined, ...target], settings);
      return known(b, b.op('Squeeze', [made, b.ints([0, 1])]), rows, [from[axis]!, to[axis]!]);
    };
    return [{ axis, apply }];
  });
}

const headOf = (b: Builder, image: Value): Value => b.op('Shape', [image], { start: 0, end: 3 });

const FLOATS = ['cubic_coeff_a', 'extrapolation_value'];

const setting = (name: string, value: AttributeInput): AttributeInput =>
  FLOATS.includes(name) ? { float: value as number } : value;

/**
 * Nearest neighbours by whole factors make blocks of equal elements: the gradient is the sum over each
 * block, which the runtime's pooling gives at once.
 */
function blocks({ b, attributes, inputs }: GradientContext, g: Value): Value | undefined {
  const node = { attributes, inputs };
  const x = inputs[0]!;
  const rank = dims(x).length;
  const scales = constantOf(given(inputs[2]));
  if (scales === undefined || rank < 3 || rank > 5 || !hasBlocks(node)) return undefined;
  const factors = Array.from({ length: rank }, () => 1);
  for (const [at, axis] of axesOf(node, rank).entries()) factors[axis] = scales[at]!;
  const kernel = factors.slice(2);
  const isWhole = factors.every((factor) => Number.isInteger(factor) && factor >= 1);
  if (!isWhole || factors[0] !== 1 || factors[1] !== 1) return undefined;
  const count = kernel.reduce((all, factor) => all * factor, 1);
  const means = b.op('AveragePool', [g], { kernel_shape: kernel, strides: kernel });
  return known(b, b.op('Mul', [means, b.scalar(count, g)]), x, dims(x));
}

function hasBlocks(node: Node): boolean {
  if (stringOf(node, 'mode', 'nearest') !== 'nearest') return false;
  const coordinates = stringOf(node, 'coordinate_transformation_mode', 'half_pixel');
  const rounding = stringOf(node, 'nearest_mode', 'round_prefer_floor');
  return coordinates === 'asymmetric'
    ? rounding === 'floor'
    : coordinates === 'half_pixel' && rounding.startsWith('round');
}

function refuse(c: InferContext): string | undefined {
  if (stringOf(c, 'coordinate_transformation_mode', '') === 'tf_crop_and_resize') {
    return 'it crops (tf_crop_and_resize): crop by Slice before another coordinate mode';
  }
  if (stringOf(c, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') {
    return 'it keeps the aspect ratio by a policy: give the sizes themselves';
  }
  return undefined;
}

/** Resize in all separable modes. */
export const RESIZE: readonly Operator[] = [
  {
    op: 'Resize',
    infer: inferResize,
    gradient: resize,
    refuse,
    settings: [1, 2, 3],
    limits: 'not tf_crop_and_resize, not keep_aspect_ratio_policy',
  },
];
