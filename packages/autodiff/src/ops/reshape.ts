import { MedleyError } from '@medley/kit';
import { constantOf, dims, intOf, intsOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, broadcast, type Dim, type Shape } from '../graph/shape.ts';
import { product, quotient } from '../graph/symbol.ts';
import { sumTo } from './broadcast.ts';

/** A tensor of more axes is no tensor that anybody wrote. */
const MOST_AXES = 64;

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
        shape:
          typeof rank === 'number' && rank <= MOST_AXES
            ? Array.from({ length: rank }, c.fresh)
            : undefined,
      },
    ];
  }
  const keepsZero = intOf(c, 'allowzero', 0) === 1;
  const filled = wanted.map((dim, i) =>
    dim === 0 && !keepsZero ? (x?.shape?.[i] ?? c.fresh()) : dim,
  );
  const shape = filled.map((dim) => (dim === -1 ? remainder(x?.shape, filled, c.fresh) : dim));
  return [{ dtype: x?.dtype, shape, content: shape.length < 2 ? x?.content : undefined }];
}

/** What −1 stands for: the elements of `from` over those that `to` names. */
function remainder(from: Shape | undefined, to: Shape, fresh: () => string): Dim {
  if (from === undefined) return fresh();
  return quotient(product(from), product(to.filter((dim) => dim !== -1))) ?? fresh();
}

function inferFlatten(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  if (x?.shape === undefined) return [{ dtype: x?.dtype, shape: [c.fresh(), c.fresh()] }];
  const at = intOf(c, 'axis', 1);
  const axis = at < 0 ? at + x.shape.length : at;
  const sides = [x.shape.slice(0, axis), x.shape.slice(axis)];
  return [{ dtype: x.dtype, shape: sides.map(product) }];
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
  return [{ dtype: x.dtype, shape, content: rank < 2 ? x.content : undefined }];
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
  if (known) return [{ dtype: x.dtype, shape: broadcast([x.shape, target.content], c.fresh) }];
  const rank = target?.shape?.[0];
  const isRanked = typeof rank === 'number' && rank <= MOST_AXES && x?.shape !== undefined;
  const length = isRanked ? Math.max(rank, x.shape.length) : 0;
  return [{ dtype: x?.dtype, shape: isRanked ? Array.from({ length }, c.fresh) : undefined }];
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
