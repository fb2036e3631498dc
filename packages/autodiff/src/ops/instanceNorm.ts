import type { Builder } from '../graph/builder.ts';
import { dims, intOf, type Value } from '../graph/graph.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { inferSame } from './broadcast.ts';
import { affine, inverseRoot, lastMean, lastSum, sharers, vector } from './moments.ts';

/** x [N, C, …] as [N, groups, rest]; every channel is a group of its own where nothing else is said. */
function grouped(c: GradientContext, value: Value): Value {
  const groups = intOf(c, 'num_groups', 0);
  return c.b.op('Reshape', [value, c.b.ints([0, groups, -1])]);
}

const overRows = (b: Builder, value: Value): Value =>
  b.op('ReduceSum', [value, b.ints([0, 2])], { keepdims: 0 });

/**
 * The formula of batch normalisation over the elements of one group of one row (Ulyanov et al. 2016;
 * Wu and He 2018). Scale and bias are one for each group, as GroupNormalization has them up to
 * operator set 20.
 */
const instanceNorm: GradientRule = (c, [dY]) => {
  const { b, inputs, needs } = c;
  const [input, scale] = [inputs[0]!, inputs[1]!];
  const [x, g] = [grouped(c, input), grouped(c, dY!)];
  const sums = lastSum(b, g);
  const dBias = needs[2] === true ? overRows(b, sums) : undefined;
  if (needs[0] !== true && needs[1] !== true) return [undefined, undefined, dBias];
  const mean = lastMean(b, x);
  const centred = b.op('Sub', [x, mean]);
  const inverse = inverseRoot(c, lastMean(b, b.op('Mul', [centred, centred])));
  const products = b.op('Mul', [lastSum(b, b.op('Mul', [g, centred])), inverse]);
  const dScale = needs[1] === true ? overRows(b, products) : undefined;
  if (needs[0] !== true) return [undefined, dScale, dBias];
  const slope = b.op('Mul', [inverse, b.op('Unsqueeze', [scale, b.ints([1])])]);
  const size = sharers(b, x, mean);
  const along = b.op('Div', [b.op('Mul', [products, inverse]), size]);
  const free = b.op('Sub', [g, b.op('Mul', [centred, along])]);
  const shift = b.op('Neg', [b.op('Mul', [slope, b.op('Div', [sums, size])])]);
  // Every group of every row becomes a channel of one image.
  const image = b.op('Unsqueeze', [b.op('Flatten', [free], { axis: 2 }), b.ints([0])]);
  const dX = affine(b, image, { scale: vector(b, slope), shift: vector(b, shift) });
  return [b.adopt({ ...b.reshapeLike(dX, input), shape: dims(input) }), dScale, dBias];
};

/** InstanceNormalization, and GroupNormalization of operator set 18. */
export const INSTANCE_NORM: readonly Operator[] = [
  { op: 'InstanceNormalization', infer: inferSame, gradient: instanceNorm },
  {
    op: 'GroupNormalization',
    infer: inferSame,
    gradient: instanceNorm,
    limits: 'scale and bias per group, as operator set 18 has them',
  },
];
