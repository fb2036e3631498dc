import { intOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf } from '../graph/shape.ts';
import { pickedFrom } from './iota.ts';

const attributesOf = (c: Pick<InferContext, 'attributes'>) =>
  c.attributes.has('axis') ? { axis: intOf(c, 'axis', 0) } : {};

const compress: GradientRule = ({ b, attributes, inputs: [x, condition] }, [g]) => [
  pickedFrom(b, x!, g!, (at) => b.op('Compress', [at, condition], attributesOf({ attributes }))),
];

// How many are chosen is in the data.
function inferCompress(c: InferContext): readonly Inferred[] {
  const [x] = c.inputs;
  const { axis } = attributesOf(c);
  if (axis === undefined) return [{ dtype: x?.dtype, shape: [c.fresh()] }];
  const at = axisOf(axis, x?.shape?.length ?? 0);
  return [{ dtype: x?.dtype, shape: x?.shape?.map((dim, i) => (i === at ? c.fresh() : dim)) }];
}

/** Compress: the elements or slices at which a condition holds. */
export const COMPRESS: readonly Operator[] = [
  { op: 'Compress', infer: inferCompress, gradient: compress, settings: [1] },
];
