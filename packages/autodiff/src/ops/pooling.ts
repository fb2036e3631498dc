import type { Builder } from '../graph/builder.ts';
import { dims, intOf, intsOf, stringOf, type AttributeInput, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { isStatic, sizeOf, type Shape } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { inferPool, poolWindow } from './poolingMax.ts';
import { asChannels, transposeOf } from './separable.ts';
import { combine, known, reshape, sizesFrom, zeros, type Size } from './sizes.ts';

type Settings = Readonly<Record<string, AttributeInput>>;

/** The transpose of a pooling that is linear, with the node's own padding and rounding on each axis. */
function spread(c: GradientContext, g: Value, op: string, extra: Settings): Value {
  const { b, attributes } = c;
  const x = c.inputs[0]!;
  const node = { attributes };
  const rank = dims(x).length - 2;
  const pads = intsOf(node, 'pads') ?? [];
  const maps = Array.from({ length: rank }, (_, i) => {
    const one = (name: string): Settings => {
      const value = intsOf(node, name)?.[i];
      return value === undefined ? {} : { [name]: [value] };
    };
    const settings: Settings = {
      ...one('kernel_shape'),
      ...one('strides'),
      ...one('dilations'),
      ...(pads.length > 0 ? { pads: [pads[i]!, pads[rank + i]!] } : {}),
      auto_pad: stringOf(node, 'auto_pad', 'NOTSET'),
      ceil_mode: intOf(node, 'ceil_mode', 0),
      ...extra,
    };
    const apply = (rows: Value): Value =>
      asChannels(b, rows, (image) => b.op(op, [image], settings));
    return { axis: i + 2, apply };
  });
  return transposeOf(b, x, g, maps);
}

const averagePool: GradientRule = (c, [g]) => {
  const include = intOf(c, 'count_include_pad', 0);
  return [tiled(c, g!) ?? spread(c, g!, 'AveragePool', { count_include_pad: include })];
};

/** For windows that tile the input exactly: every element gets its window's gradient over the count. */
function tiled({ b, attributes, inputs: [x] }: GradientContext, g: Value): Value | undefined {
  const { kernel, strides, dilations, pads } = poolWindow({ attributes }, x!);
  const [from, to] = [dims(x!).slice(2), dims(g).slice(2)];
  if (![from, to, kernel].every(isStatic) || pads === undefined) return undefined;
  const isTiled = kernel.every(
    (k, i) =>
      k === strides[i] &&
      dilations[i] === 1 &&
      pads.begins[i] === 0 &&
      from[i] === Number(to[i]) * k,
  );
  if (!isTiled) return undefined;
  const share = b.op('Mul', [g, b.scalar(1 / sizeOf(kernel)!, g)]);
  return repeated(b, share, x!, kernel as readonly number[]);
}

/** Each element of `g` over a block of `factors` elements of the result, which is like `x`. */
export function repeated(b: Builder, g: Value, x: Value, factors: readonly number[]): Value {
  const ones = Array.from({ length: dims(g).length - factors.length }, () => 1);
  const scales = [...ones, ...factors];
  const attributes = {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  };
  const made = b.op(
    'Resize',
    [g, undefined, b.constant(floatTensor([scales.length], scales))],
    attributes,
  );
  return known(b, made, x, dims(x));
}

function inferGlobal(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  return [{ dtype: x?.dtype, shape: x?.shape?.map((size, i) => (i < 2 ? size : 1)) }];
}

const globalAverage: GradientRule = ({ b, inputs: [x] }, [g]) => {
  const spatial: Shape = dims(x!).slice(2);
  const count = isStatic(spatial)
    ? b.scalar(sizeOf(spatial)!, x)
    : b.op('CastLike', [b.op('Div', [b.op('Size', [x]), b.op('Size', [g])]), x]);
  const share = b.op('Div', [g, count]);
  return [known(b, b.op('Expand', [share, b.shapeOf(x!)]), x!, dims(x!))];
};

// The first of equal elements is the maximum, as for MaxPool.
const globalMax: GradientRule = ({ b, inputs: [x] }, [g]) => {
  const lead: readonly Size[] = sizesFrom(b, x!, 0).slice(0, 2);
  const length = sizesFrom(b, x!, 2).reduce((all, size) => combine(b, 'Mul', all, size), 1);
  const lines = reshape(b, x!, [...lead, length]);
  const first = b.op('ArgMax', [lines], { axis: 2, keepdims: 1 });
  const none = zeros(b, x!, [...lead, length]);
  const made = b.op('ScatterElements', [none, first, reshape(b, g!, [...lead, 1])], { axis: 2 });
  return [b.reshapeLike(known(b, made, x!, dims(lines)), x!)];
};

/** g / y^(p−1) · sign(x)·|x|^(p−1), and 0 where y = 0, with `widen` taking the first part back to x. */
function normGradient(c: GradientContext, g: Value, widen: (part: Value) => Value): Value {
  const { b } = c;
  const [x, y] = [c.inputs[0]!, c.outputs[0]!];
  const p = intOf(c, 'p', 2);
  if (p === 1) return b.op('Mul', [widen(g), b.op('Sign', [x])]);
  const power = (value: Value): Value =>
    p === 2 ? value : b.op('Pow', [b.op('Abs', [value]), b.scalar(p - 1, value)]);
  const isZero = b.op('Equal', [y, b.scalar(0, y)]);
  const divisor = b.op('Where', [isZero, b.scalar(1, y), power(y)]);
  const part = widen(b.op('Where', [isZero, b.scalar(0, y), b.op('Div', [g, divisor])]));
  const slope = p === 2 ? x : b.op('Mul', [b.op('Sign', [x]), power(x)]);
  return b.op('Mul', [part, slope]);
}

const lpPool: GradientRule = (c, [g]) => [
  normGradient(c, g!, (part) => spread(c, part, 'LpPool', { p: 1 })),
];

const globalLp: GradientRule = (c, [g]) => [normGradient(c, g!, (part) => part)];

/** Averages and norms of windows, and pools over all positions. */
export const POOLING: readonly Operator[] = [
  { op: 'AveragePool', infer: inferPool, gradient: averagePool },
  { op: 'LpPool', infer: inferPool, gradient: lpPool },
  { op: 'GlobalAveragePool', infer: inferGlobal, gradient: globalAverage },
  { op: 'GlobalMaxPool', infer: inferGlobal, gradient: globalMax },
  { op: 'GlobalLpPool', infer: inferGlobal, gradient: globalLp },
];
