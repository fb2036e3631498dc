import { intOf } from '../graph/graph.ts';
import { dims } from '../graph/graph.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf } from '../graph/shape.ts';
import { inferSame } from './broadcast.ts';

const axesInput = ({ b, attributes, inputs: [x] }: GradientContext) =>
  b.ints([axisOf(intOf({ attributes }, 'axis', -1), dims(x!).length) ?? 0]);

const softmax: GradientRule = (c, [g]) => {
  const { b, outputs } = c;
  const weighted = b.op('Mul', [g, outputs[0]]);
  const total = b.op('ReduceSum', [weighted, axesInput(c)], { keepdims: 1 });
  return [b.op('Sub', [weighted, b.op('Mul', [outputs[0], total])])];
};

const logSoftmax: GradientRule = (c, [g]) => {
  const { b, outputs } = c;
  const total = b.op('ReduceSum', [g, axesInput(c)], { keepdims: 1 });
  return [b.op('Sub', [g, b.op('Mul', [b.op('Exp', [outputs[0]]), total])])];
};

/** Softmax and LogSoftmax along one axis (operator set 13 and later). */
export const SOFTMAX: readonly Operator[] = [
  { op: 'Softmax', infer: inferSame, gradient: softmax },
  { op: 'LogSoftmax', infer: inferSame, gradient: logSoftmax },
];
