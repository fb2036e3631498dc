import type { Builder } from '../graph/builder.ts';
import { dims, floatOf, intOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred, Maybe } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';
import { affine, inverseRoot, sharers } from './moments.ts';

function inferBatchNorm({ inputs, outputCount }: InferContext): readonly Inferred[] {
  const [x] = inputs;
  const statistics = [inputs[3], inputs[4]].map((input) => ({
    dtype: input?.dtype,
    shape: input?.shape,
  }));
  return [{ dtype: x?.dtype, shape: x?.shape }, ...statistics].slice(0, outputCount);
}

/** One value per channel, beside a tensor [N, C, …]: [C, 1, …]. */
function perChannel(b: Builder, value: Value, x: Value): Value {
  const spatial = dims(x).length - 2;
  if (spatial <= 0) return value;
  const ones = Array.from({ length: spatial }, () => 1);
  return b.op('Reshape', [value, b.ints([-1, ...ones])]);
}

/** Σ over all axes but the channels, [C]. */
function channelSum(b: Builder, value: Value): Value {
  const axes = dims(value).flatMap((_, i) => (i === 1 ? [] : [i]));
  return b.op('ReduceSum', [value, b.ints(axes)], { keepdims: 0 });
}

/** The statistics that the node normalised by, each [C]. */
function statisticsOf(c: GradientContext): { readonly mean: Value; readonly variance: Value } {
  const { b, inputs, outputs } = c;
  if (intOf(c, 'training_mode', 0) === 0) return { mean: inputs[3]!, variance: inputs[4]! };
  // With momentum 0 nothing of the old running statistics remains: the outputs are the batch's own.
  if (floatOf(c, 'momentum', 0.9) === 0) return { mean: outputs[1]!, variance: outputs[2]! };
  const x = inputs[0]!;
  const size = sharers(b, x, inputs[1]!);
  const mean = b.op('Div', [channelSum(b, x), size]);
  const centred = b.op('Sub', [x, perChannel(b, mean, x)]);
  const variance = b.op('Div', [channelSum(b, b.op('Mul', [centred, centred])), size]);
  return { mean, variance };
}

/**
 * dX = γ/σ·(dY − mean(dY) − x̂·mean(dY·x̂)) over the elements of a channel (Ioffe and Szegedy 2015,
 * section 3), where the means vanish when the statistics are fixed. All is written in x − μ, not in x,
 * whose large mean would cancel.
 */
const batchNorm: GradientRule = (c, [g]): readonly Maybe[] => {
  if (g === undefined) return [];
  const { b, inputs, needs } = c;
  const [x, scale] = [inputs[0]!, inputs[1]!];
  const isTraining = intOf(c, 'training_mode', 0) === 1;
  const { mean, variance } = statisticsOf(c);
  const inverse = inverseRoot(c, variance);
  const slope = b.op('Mul', [scale, inverse]);
  const scaled = (): Value => b.op('Mul', [g, perChannel(b, slope, x)]);
  if (!isTraining && needs[1] !== true) {
    return [needs[0] === true ? scaled() : undefined, undefined, sumIf(needs[2])];
  }
  const centred = b.op('Sub', [x, perChannel(b, mean, x)]);
  const products = channelSum(b, b.op('Mul', [g, centred]));
  const dScale = b.op('Mul', [products, inverse]);
  if (!isTraining) return [needs[0] === true ? scaled() : undefined, dScale, sumIf(needs[2])];
  const dBias = channelSum(b, g);
  if (needs[0] !== true) return [undefined, dScale, dBias];
  const size = sharers(b, x, scale);
  const along = perChannel(b, b.op('Div', [b.op('Mul', [dScale, inverse]), size]), x);
  const free = b.op('Sub', [g, b.op('Mul', [centred, along])]);
  const shift = b.op('Neg', [b.op('Mul', [slope, b.op('Div', [dBias, size])])]);
  return [affine(b, free, { scale: slope, shift }), dScale, dBias];

  function sumIf(need: boolean | undefined): Maybe {
    return need === true ? channelSum(b, g!) : undefined;
  }
};

/** BatchNormalization in both forms; running statistics are settings, replaced in training. */
export const BATCH_NORM: readonly Operator[] = [
  {
    op: 'BatchNormalization',
    infer: inferBatchNorm,
    gradient: batchNorm,
    settings: [3, 4],
    buffers: { 3: 1, 4: 2 },
  },
];
