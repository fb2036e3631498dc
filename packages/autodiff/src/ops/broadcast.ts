import { MedleyError } from '@medley/kit';
import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import { broadcast, sameShape, shapeText } from '../graph/shape.ts';
import type { DType } from '../graph/dtype.ts';
import { elementwiseContent } from './content.ts';

/** Inference of an elementwise operator with broadcasting; `dtype` where it is not that of an input. */
export function inferElementwise(c: InferContext, dtype?: DType): readonly Inferred[] {
  const given = c.inputs.filter((input) => input !== undefined);
  const shapes = given.map((input) => input.shape);
  const type = dtype ?? given[0]?.dtype;
  if (shapes.some((shape) => shape === undefined)) return [{ dtype: type, shape: undefined }];
  const known = shapes.filter((shape) => shape !== undefined);
  const shape = broadcast(known, c.fresh);
  if (shape === undefined) {
    throw new MedleyError(
      'MODEL_INVALID',
      `${c.op} cannot broadcast ${known.map(shapeText).join(' with ')}`,
    );
  }
  return [{ dtype: type, shape, content: elementwiseContent(c) }];
}

/** Inference of an operator whose output is like its first input. */
export function inferSame(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  return [{ dtype: x?.dtype, shape: x?.shape }];
}

/**
 * The gradient `g` of a broadcast result, summed to the shape of the operand `like`.
 *
 * Where sizes are symbols that broadcasting may or may not have stretched, the axes are found when the
 * graph runs: those on which the shapes differ.
 */
export function sumTo(b: Builder, g: Value, like: Value): Value {
  const from = dims(g);
  const to = dims(like);
  if (sameShape(from, to)) return g;
  const lead = from.length - to.length;
  const certain = to.every((dim, i) => dim === 1 || dim === from[i + lead]);
  if (certain) {
    const axes = from.flatMap((dim, i) =>
      i < lead || (to[i - lead] === 1 && dim !== 1) ? [i] : [],
    );
    const summed = axes.length === 0 ? g : b.op('ReduceSum', [g, b.ints(axes)], { keepdims: 1 });
    return b.reshapeLike(summed, like);
  }
  const padded =
    lead === 0
      ? b.shapeOf(like)
      : b.op('Concat', [b.ints(Array.from({ length: lead }, () => 1)), b.shapeOf(like)], {
          axis: 0,
        });
  const differs = b.op('Not', [b.op('Equal', [padded, b.shapeOf(g)])]);
  const axes = b.op('Squeeze', [b.op('NonZero', [differs]), b.ints([0])]);
  const summed = b.op('ReduceSum', [g, axes], { keepdims: 1, noop_with_empty_axes: 1 });
  const back = b.op('Reshape', [summed, b.shapeOf(like)]);
  return b.adopt({ ...back, shape: to });
}
