import { MedleyError } from '@medley/kit';
import { constantOf, dims, intOf, intsOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, broadcast, sizeOf, type Dim, type Shape } from '../graph/shape.ts';
import { sumTo } from './broadcast.ts';

const reshape: GradientRule = ({ b, inputs: [x] }, [g]) => [b.reshapeLike(g!, x!)];

const transpose: GradientRule = ({ b, attributes, inputs: [x] }, [g]) => {
  const perm = intsOf({ attributes }, 'perm') ?? dims(x!).map((_, i, all) => all.length - 1 - i);
  const inverse = perm.map((_, i) => perm.indexOf(i));
  return [b.op('Transpose', [g], { perm: inverse })];
};

const expand: GradientRule = ({ b, inputs: [x] }, [g]) => [sumTo(b, g!, x!)];

function inferReshape(c: InferContext): readonly Inferred[] {
  const [x, target] = c.inputs;
  const wanted = target?.content;
  if (wanted === undefined) {
    const rank = target?.shape?.[0];
    return [
      {
        dtype: x?.dtype,
        shape: typeof rank === 'number' ? Array.from({ length: rank }, c.fresh) : undefined,
      },
    ];
  }
  const keepsZero = intOf(c, 'allowzero', 0) === 1;
  const filled = wanted.map((dim, i) =>
    dim === 0 && !keepsZero ? (x?.shape?.[i] ?? c.fresh()) : dim,
  );
  const shape = filled.map((dim) => (dim === -1 ? remainder(x?.shape, filled, c.fresh) : dim));
  return [{ dtype: x?.dtype, shape, content: shape.length === 1 ? x?.content : undefined }];
}

/** What −1 stands for: the sizes of `from` that `to` does not name, when that is one size or a number. */
function remainder(from: Shape | undefined, to: Shape, fresh: () => string): Dim {
  if (from === undefined) return fresh();
  const left = [...from];
  const unmatched: Dim[] = [];
  for (const dim of to) {
    if (dim === -1) continue;
    const at = typeof dim === 'string' ? left.indexOf(dim) : -1;
    if (at >= 0) left.splice(at, 1);
    else unmatched.push(dim);
  }
  const divisor = sizeOf(unmatched);
  const symbols = left.filter((dim) => typeof dim === 'string');
  const count = sizeOf(left.filter((dim) => typeof dim === 'number'));
  if (divisor === undefined || count === undefined || divisor === 0) return fresh();
  if (symbols.length === 0) return count / divisor;
  return symbols.length === 1 && count === divisor ? symbols[0]! : fresh();
}

function inferFlatten(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: [c.fresh(), c.fresh()] }];
  const at = intOf(c, 'axis', 1);
  const axis = at < 0 ? at + x.shape.length : at;
  const side = (part: Shape): Dim => (part.length === 1 ? part[0]! : (sizeOf(part) ?? c.fresh()));
  return [{ dtype: x.dtype, shape: [side(x.shape.slice(0, axis)), side(x.shape.slice(axis))] }];
}

function inferSqueeze(c: InferContext): readonly Inferred[] {
  const [x, axesInput] = c.inputs;
  const shape = x?.shape;
  const axes = constantOf(axesInput);
  const isOpen =
    axes === undefined &&
    (axesInput !== undefined || shape?.some((dim) => typeof dim === 'string'));
  if (shape === undefined || isOpen === true)
    return [{ dtype: x?.dtype, shape: undefined, content: x?.content }];
  const gone = axes?.map((axis) => axisOf(axis, shape.length));
  const kept = shape.filter((dim, i) => (gone === undefined ? dim !== 1 : !gone.includes(i)));
  return [{ dtype: x?.dtype, shape: kept, content: x?.content }];
}

function inferUnsqueeze(c: InferContext): readonly Inferred[] {
  const [x, axesInput] = c.inputs;
  const axes = constantOf(axesInput);
  if (x?.shape === undefined || axes === undefined) return [{ dtype: x?.dtype, shape: undefined }];
  const rank = x.shape.length + axes.length;
  const added = axes.map((axis) => axisOf(axis, rank));
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, i) =>
    added.includes(i) ? 1 : (rest.shift() ?? 1),
  );
  return [{ dtype: x.dtype, shape, content: rank === 1 ? x.content : undefined }];
}

function inferTranspose(c: InferContext): readonly Inferred[] {
  const shape = c.inputs[0]?.shape;
  const perm = intsOf(c, 'perm') ?? shape?.map((_, i, all) => all.length - 1 - i);
  if (
    shape !== undefined &&
    (perm?.length !== shape.length || perm.some((from) => shape[from] === undefined))
  ) {
    throw new MedleyError('MODEL_INVALID', `Transpose has a permutation of the wrong length`);
  }
  return [
    {
      dtype: c.inputs[0]?.dtype,
      shape: shape === undefined ? undefined : perm?.map((from) => shape[from]!),
    },
  ];
}

function inferExpand(c: InferContext): readonly Inferred[] {
  const [x, target] = c.inputs;
  const known = x?.shape !== undefined && target?.content !== undefined;
  return [
    { dtype: x?.dtype, shape: known ? broadcast([x.shape, target.content], c.fresh) : undefined },
  ];
}

/** Operators that move elements without changing or repeating them, and Expand. */
export const RESHAPE: readonly Operator[] = [
  { op: 'Reshape', infer: inferReshape, gradient: reshape },
  { op: 'Flatten', infer: inferFlatten, gradient: reshape },
  { op: 'Squeeze', infer: inferSqueeze, gradient: reshape },
  { op: 'Unsqueeze', infer: inferUnsqueeze, gradient: reshape },
  { op: 'Transpose', infer: inferTranspose, gradient: transpose },
  { op: 'Expand', infer: inferExpand, gradient: expand },
];
