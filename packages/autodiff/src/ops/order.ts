import { constantOf, dims, intOf } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { axisOf } from '../graph/shape.ts';
import { inferSame } from './broadcast.ts';
import { zerosLike } from './iota.ts';

// The sum over what comes after instead of before.
const cumSum: GradientRule = ({ b, attributes, inputs: [x, axis] }, [g]) => {
  const exclusive = intOf({ attributes }, 'exclusive', 0);
  const reverse = 1 - intOf({ attributes }, 'reverse', 0);
  const sums = b.op('CumSum', [g, axis], { exclusive, reverse });
  return [b.adopt({ ...sums, dtype: g!.dtype, shape: dims(x!) })];
};

// The gradient goes back to where each of the chosen ones stood.
const topK: GradientRule = ({ b, attributes, inputs: [x], outputs: [y], demand }, [g]) => {
  const axis = axisOf(intOf({ attributes }, 'axis', -1), dims(x!).length) ?? 0;
  const at = demand(1, 'int64', dims(y!));
  const sums = b.op('ScatterElements', [zerosLike(b, x!), at, g], { axis, reduction: 'add' });
  return [b.adopt({ ...sums, dtype: g!.dtype, shape: dims(x!) })];
};

function inferTopK(c: InferContext): readonly Inferred[] {
  const [x, k] = c.inputs;
  const axis = axisOf(intOf(c, 'axis', -1), x?.shape?.length ?? 0);
  const count = constantOf(k)?.[0] ?? k?.content?.[0] ?? c.fresh();
  const shape = x?.shape?.map((dim, i) => (i === axis ? count : dim));
  return [
    { dtype: x?.dtype, shape },
    { dtype: 'int64', shape },
  ];
}

const reverseSequence: GradientRule = ({ b, attributes, inputs: [x, lengths] }, [g]) => {
  const batch_axis = intOf({ attributes }, 'batch_axis', 1);
  const time_axis = intOf({ attributes }, 'time_axis', 0);
  const turned = b.op('ReverseSequence', [g, lengths], { batch_axis, time_axis });
  return [b.adopt({ ...turned, dtype: g!.dtype, shape: dims(x!) })];
};

/** CumSum, TopK and ReverseSequence: along one axis, the order of the elements matters. */
export const ORDER: readonly Operator[] = [
  { op: 'CumSum', infer: inferSame, gradient: cumSum, settings: [1] },
  { op: 'TopK', infer: inferTopK, gradient: topK, settings: [1] },
  { op: 'ReverseSequence', infer: inferSame, gradient: reverseSequence, settings: [1] },
];
