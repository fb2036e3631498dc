import { dims, intOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { inferSame } from './broadcast.ts';

// What was read several times adds up.
const gatherElements: GradientRule = ({ b, attributes, inputs: [x, indices] }, [g]) => {
  const axis = axisOf(intOf({ attributes }, 'axis', 0), dims(x!).length) ?? 0;
  const filled = b.op('ConstantOfShape', [b.shapeOf(x!)], { value: floatTensor([1], [0]) });
  const zeros = g!.dtype === 'float32' ? filled : b.op('CastLike', [filled, g]);
  return [b.op('ScatterElements', [zeros, indices, g], { axis, reduction: 'add' })];
};

function inferGather(c: InferContext): readonly Inferred[] {
  const [x, indices] = c.inputs;
  const axis = axisOf(intOf(c, 'axis', 0), x?.shape?.length ?? 0);
  if (x?.shape === undefined || indices?.shape === undefined || axis === undefined) {
    return [{ dtype: x?.dtype, shape: undefined }];
  }
  const shape: Dim[] = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const picked = indices.content?.map((at) =>
    typeof at === 'number' ? x.content?.at(at) : undefined,
  );
  const content = picked?.every((dim) => dim !== undefined) ? picked : undefined;
  return [{ dtype: x.dtype, shape, content }];
}

/** Reading and writing elements by index. */
export const GATHER: readonly Operator[] = [
  {
    op: 'GatherElements',
    infer: ({ inputs: [x, indices] }) => [{ dtype: x?.dtype, shape: indices?.shape }],
    gradient: gatherElements,
  },
  { op: 'Gather', infer: inferGather, advice: 'store the tensor it reads from as a Constant node' },
  { op: 'ScatterElements', infer: inferSame },
];
