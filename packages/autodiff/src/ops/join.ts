import { constantOf, dims, intOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { Operator } from '../graph/operator.ts';
import { axisOf, isStatic, type Dim } from '../graph/shape.ts';

function inferConcat(c: InferContext): readonly Inferred[] {
  const [first] = c.inputs;
  const rank = first?.shape?.length;
  const axis = axisOf(intOf(c, 'axis', 0), rank ?? 0);
  if (
    first === undefined ||
    axis === undefined ||
    c.inputs.some((x) => x?.shape?.length !== rank)
  ) {
    return [{ dtype: first?.dtype, shape: undefined }];
  }
  const sizes = c.inputs.map((x) => dims(x!)[axis]!);
  const total: Dim = isStatic(sizes) ? sum(sizes) : c.fresh();
  const contents = c.inputs.map((x) => x?.content);
  const content = contents.every((part) => part !== undefined) ? contents.flat() : undefined;
  return [
    { dtype: first.dtype, shape: dims(first).map((dim, i) => (i === axis ? total : dim)), content },
  ];
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

function inferSplit(c: InferContext): readonly Inferred[] {
  const [x, split] = c.inputs;
  const axis = axisOf(intOf(c, 'axis', 0), x?.shape?.length ?? 0);
  const sizes = constantOf(split);
  return Array.from({ length: c.outputCount }, (_, i) => ({
    dtype: x?.dtype,
    shape: x?.shape?.map((dim, at) => (at === axis ? (sizes?.[i] ?? c.fresh()) : dim)),
  }));
}

/** Concat and Split. */
export const JOIN: readonly Operator[] = [
  { op: 'Concat', infer: inferConcat, advice: 'keep it out of the path of the weights' },
  { op: 'Split', infer: inferSplit, advice: 'keep it out of the path of the weights' },
];
