import type { Builder } from '../graph/builder.ts';
import { dims, floatOf, intOf, intsOf, type Value } from '../graph/graph.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { axisOf } from '../graph/shape.ts';
import { inferSame } from './broadcast.ts';

/**
 * Mean over a window of `size` channels, an odd number, with zeros outside: the channels are made rows
 * of an image and pooled.
 */
function windowMean(b: Builder, value: Value, size: number): Value {
  const image = b.op('Unsqueeze', [b.op('Reshape', [value, b.ints([0, 0, -1])]), b.ints([1])]);
  const pooled = b.op('AveragePool', [image], {
    kernel_shape: [size, 1],
    pads: [(size - 1) / 2, 0, (size - 1) / 2, 0],
    count_include_pad: 1,
  });
  return b.reshapeLike(b.adopt({ ...pooled, dtype: value.dtype, shape: dims(image) }), value);
}

/**
 * y = x·s^−β with s = k + α·mean(x²) over a window of channels, so that
 * dX = dY·s^−β − 2αβ·x·mean(dY·y/s) over the same window (Krizhevsky et al. 2012, section 3.3).
 */
const lrn: GradientRule = (c, [g]) => {
  const { b, inputs, outputs } = c;
  const x = inputs[0]!;
  const size = intOf(c, 'size', 1);
  const [alpha, beta] = [floatOf(c, 'alpha', 1e-4), floatOf(c, 'beta', 0.75)];
  const number = (value: number): Value => b.scalar(value, x);
  const means = windowMean(b, b.op('Mul', [x, x]), size);
  const s = b.op('Add', [b.op('Mul', [means, number(alpha)]), number(floatOf(c, 'bias', 1))]);
  const direct = b.op('Mul', [g, b.op('Pow', [s, number(-beta)])]);
  const spread = b.op('Div', [b.op('Mul', [g, outputs[0]]), s]);
  const shared = windowMean(b, spread, size);
  const pull = b.op('Mul', [b.op('Mul', [x, number(2 * alpha * beta)]), shared]);
  return [b.op('Sub', [direct, pull])];
};

/** 1/value, and 0 where it is 0. */
function inverseOrZero(b: Builder, value: Value): Value {
  const isZero = b.op('Equal', [value, b.scalar(0, value)]);
  const divisor = b.op('Where', [isZero, b.scalar(1, value), value]);
  return b.op('Where', [isZero, b.scalar(0, value), b.op('Reciprocal', [divisor])]);
}

/** y = x/‖x‖: dX = (dY − n·Σ dY·y)/‖x‖ with n = y for p = 2 and sign(x) for p = 1; 0 where ‖x‖ is 0. */
const lpNorm: GradientRule = (c, [g]) => {
  const { b, inputs, outputs } = c;
  const [x, y] = [inputs[0]!, outputs[0]!];
  const axes = b.ints([axisOf(intOf(c, 'axis', -1), dims(x).length) ?? 0]);
  const sum = (value: Value): Value => b.op('ReduceSum', [value, axes], { keepdims: 1 });
  const isL1 = intOf(c, 'p', 2) === 1;
  const norm = isL1 ? sum(b.op('Abs', [x])) : b.op('Sqrt', [sum(b.op('Mul', [x, x]))]);
  const pull = b.op('Mul', [isL1 ? b.op('Sign', [x]) : y, sum(b.op('Mul', [g, y]))]);
  return [b.op('Mul', [b.op('Sub', [g, pull]), inverseOrZero(b, norm)])];
};

/** The kernel adds this to the deviation (ONNX, MeanVarianceNormalization). */
const MVN_EPSILON = 1e-9;

/** y = (x − μ)/(σ + ε): dX = (dY − mean(dY) − (x − μ)/σ·mean(dY·y))/(σ + ε). */
const mvn: GradientRule = (c: GradientContext, [g]) => {
  const { b, inputs, outputs } = c;
  const x = inputs[0]!;
  const axes = b.ints(intsOf(c, 'axes') ?? [0, 2, 3]);
  const mean = (value: Value): Value => b.op('ReduceMean', [value, axes], { keepdims: 1 });
  const centred = b.op('Sub', [x, mean(x)]);
  const deviation = b.op('Sqrt', [mean(b.op('Mul', [centred, centred]))]);
  const along = b.op('Mul', [mean(b.op('Mul', [g, outputs[0]])), inverseOrZero(b, deviation)]);
  const free = b.op('Sub', [b.op('Sub', [g, mean(g!)]), b.op('Mul', [centred, along])]);
  return [b.op('Div', [free, b.op('Add', [deviation, b.scalar(MVN_EPSILON, x)])])];
};

/** Normalisations without weights: over windows of channels, by a norm, by mean and deviation. */
export const LOCAL_NORM: readonly Operator[] = [
  {
    op: 'LRN',
    infer: inferSame,
    gradient: lrn,
    refuse: (c) =>
      intOf(c, 'size', 1) % 2 === 1
        ? undefined
        : 'its window is an even number of channels, which the runtime cannot compute: make it odd',
    limits: 'odd windows',
  },
  { op: 'LpNormalization', infer: inferSame, gradient: lpNorm },
  { op: 'MeanVarianceNormalization', infer: inferSame, gradient: mvn },
];
