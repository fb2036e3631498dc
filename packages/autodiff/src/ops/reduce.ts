import type { Builder } from '../graph/builder.ts';
import { constantOf, dims, intOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientContext, Operator } from '../graph/operator.ts';
import { axisOf, isStatic, sizeOf } from '../graph/shape.ts';
import { product as sizeProduct } from '../graph/symbol.ts';

/** The axes a reduction removes, or undefined when they are not constant. */
function axesOf(c: Pick<InferContext, 'attributes' | 'inputs'>): readonly number[] | undefined {
  const [x, given] = c.inputs;
  const rank = x?.shape?.length;
  if (rank === undefined) return undefined;
  const axes = given === undefined ? [] : constantOf(given);
  if (axes === undefined) return undefined;
  if (axes.length > 0) return axes.map((axis) => axisOf(axis, rank) ?? rank);
  return intOf(c, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, i) => i);
}

function inferReduce(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  const axes = axesOf(c);
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const keeps = intOf(c, 'keepdims', 1) === 1;
  if (axes === undefined)
    return [{ dtype: x.dtype, shape: keeps ? x.shape.map(c.fresh) : undefined }];
  const shape = x.shape.flatMap((dim, i) => (axes.includes(i) ? (keeps ? [1] : []) : [dim]));
  const isCount = c.op === 'ReduceProd' && x.shape.length === 1 && axes.length === 1;
  const content = isCount && x.content !== undefined ? [sizeProduct(x.content)] : undefined;
  return [{ dtype: x.dtype, shape, content }];
}

/** One reduction as its rule sees it; `g` and `y` have the reduced axes back with size 1. */
interface Reduction {
  readonly b: Builder;
  readonly x: Value;
  readonly y: Value;
  readonly g: Value;
  readonly axes: readonly number[];
  /** The same reduction with another operator, keeping the axes. */
  readonly again: (op: string, value: Value) => Value;
}

function reduction(c: GradientContext, dY: Value): Reduction {
  const { b } = c;
  const x = c.inputs[0]!;
  const axes = axesOf(c)!;
  const keeps = intOf(c, 'keepdims', 1) === 1;
  const restore = (value: Value): Value =>
    keeps || axes.length === 0 ? value : b.op('Unsqueeze', [value, b.ints(axes)]);
  const again = (op: string, value: Value): Value =>
    axes.length === 0 ? value : b.op(op, [value, b.ints(axes)], { keepdims: 1 });
  return { b, x, y: restore(c.outputs[0]!), g: restore(dY), axes, again };
}

const spread = ({ b, x, g }: Reduction, slope?: Value): Value =>
  slope === undefined ? b.op('Expand', [g, b.shapeOf(x)]) : b.op('Mul', [g, slope]);

/** `value`, with 1 where it is 0: a divisor that is masked out afterwards. */
const nonZero = (b: Builder, value: Value): Value =>
  b.op('Where', [b.op('Equal', [value, b.scalar(0, value)]), b.scalar(1, value), value]);

/** How many elements make one of the result. */
function groupSize({ b, x, g, axes }: Reduction): Value {
  const sizes = axes.map((axis) => dims(x)[axis]!);
  if (isStatic(sizes)) return b.scalar(sizeOf(sizes)!, x);
  const ratio = b.op('Div', [b.op('Size', [x]), b.op('Size', [g])]);
  return b.op('CastLike', [ratio, x]);
}

// Elements that tie share the gradient evenly, as torch.amax does.
const extremum = (r: Reduction): Value => {
  const hits = r.b.op('CastLike', [r.b.op('Equal', [r.x, r.y]), r.x]);
  return spread(r, r.b.op('Div', [hits, r.again('ReduceSum', hits)]));
};

// The product of the others: exact with one zero in the group (only it moves) and with several (none).
const product = (r: Reduction): Value => {
  const { b, x } = r;
  const zero = b.scalar(0, x);
  const isZero = b.op('Equal', [x, zero]);
  const others = nonZero(b, x);
  const rest = r.again('ReduceProd', others);
  const zeros = r.again('ReduceSum', b.op('CastLike', [isZero, x]));
  const atZero = b.op('Where', [b.op('Equal', [zeros, b.scalar(1, x)]), rest, zero]);
  const elsewhere = b.op('Where', [
    b.op('Equal', [zeros, zero]),
    b.op('Div', [rest, others]),
    zero,
  ]);
  return spread(r, b.op('Where', [isZero, atZero, elsewhere]));
};

// x/‖x‖, and 0 where the norm is 0.
const norm = (r: Reduction): Value => spread(r, r.b.op('Div', [r.x, nonZero(r.b, r.y)]));

const RULES: Readonly<Record<string, (r: Reduction) => Value>> = {
  ReduceSum: (r) => spread(r),
  ReduceMean: (r) => spread({ ...r, g: r.b.op('Div', [r.g, groupSize(r)]) }),
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: product,
  ReduceL1: (r) => spread(r, r.b.op('Sign', [r.x])),
  ReduceL2: norm,
  ReduceSumSquare: (r) => spread(r, r.b.op('Mul', [r.x, r.b.scalar(2, r.x)])),
  ReduceLogSum: (r) => spread({ ...r, g: r.b.op('Div', [r.g, r.again('ReduceSum', r.x)]) }),
  ReduceLogSumExp: (r) => spread(r, r.b.op('Exp', [r.b.op('Sub', [r.x, r.y])])),
};

const CONVENTIONS: Readonly<Record<string, string>> = {
  ReduceMax: 'elements that tie share evenly',
  ReduceMin: 'elements that tie share evenly',
  ReduceProd: 'exact where elements are 0',
  ReduceL1: '0 at 0',
  ReduceL2: '0 where the norm is 0',
};

/** All reductions, with axes as a constant input (operator set 18). */
export const REDUCE: readonly Operator[] = Object.entries(RULES).map(([op, rule]) => ({
  op,
  infer: inferReduce,
  gradient: (c, [g]) => [rule(reduction(c, g!))],
  refuse: (c) =>
    axesOf(c) === undefined ? 'its axes are computed: make them constant' : undefined,
  settings: [1],
  limits: 'constant axes',
  ...(CONVENTIONS[op] === undefined ? {} : { convention: CONVENTIONS[op] }),
}));
