import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { bceWithLogits } from './binary.ts';
import { crossEntropy } from './classification.ts';
import { combine, perRow, ratio, type LabelRule, type Loss, type Losses } from './loss.ts';
import type { LossOf, OverlapOptions } from './options.ts';

type DiceShape = Pick<LossOf<'dice'>, 'squared' | 'generalised'>;

/** Sums over the places of what is compared: Σpt, Σp and Σt, each [rows or 1, classes or 1]. */
interface Overlap {
  readonly both: Value;
  readonly predicted: Value;
  readonly actual: Value;
}

/** How far two sets agree, from their sums: 1 for equal ones. */
type Index = (b: Builder, o: Overlap, smooth: number) => Value;

/** 1 − (2Σpt + s)/(Σp + Σt + s): the soft Dice loss. */
export const dice = (options: LossOf<'dice'>): Loss =>
  overlapLoss(options, options, diceIndex(options));

/** 1 − (TP + s)/(TP + α·FP + β·FN + s) (Salehi et al. 2017, eq. 2). */
export const tversky = (options: LossOf<'tversky'>): Loss =>
  overlapLoss(options, {}, (b, { both, predicted, actual }, smooth) => {
    const { alpha = 0.5, beta = 0.5 } = options;
    const falsePositives = b.op('Mul', [b.op('Sub', [predicted, both]), b.scalar(alpha)]);
    const falseNegatives = b.op('Mul', [b.op('Sub', [actual, both]), b.scalar(beta)]);
    const wrong = b.op('Add', [falsePositives, falseNegatives]);
    const top = b.op('Add', [both, b.scalar(smooth)]);
    return b.op('Div', [top, b.op('Add', [top, wrong])]);
  });

/** The Dice loss and the binary or categorical cross-entropy of the same logits, each with a weight. */
export function diceEntropy(options: LossOf<'dice_bce'> | LossOf<'dice_ce'>): Loss {
  const { diceWeight = 1, entropyWeight = 1, classAxis = 1 } = options;
  const isBinary = options.kind === 'dice_bce';
  const { kind, ...rest } = options;
  const activation = isBinary ? 'sigmoid' : 'softmax';
  const overlap = dice({ ...rest, kind: 'dice', activation });
  const entropy = isBinary
    ? bceWithLogits({ kind: 'bce_with_logits' })
    : crossEntropy({ kind: 'cross_entropy', classAxis });
  return {
    ...overlap,
    wants: `${overlap.wants} of logits for ${kind}`,
    of: (b, output, labels, weights) => {
      const [first, second] = [overlap, entropy].map((loss) =>
        loss.of(b, output, labels, weights),
      ) as [Losses, Losses];
      const add = (x: Value, y: Value): Value =>
        b.op('Add', [
          b.op('Mul', [x, b.scalar(diceWeight)]),
          b.op('Mul', [y, b.scalar(entropyWeight)]),
        ]);
      return { rows: add(first.rows, second.rows), mean: add(first.mean, second.mean) };
    },
  };
}

function diceIndex({ generalised = false }: DiceShape): Index {
  return (b, { both, predicted, actual }, smooth) => {
    const total = b.op('Add', [predicted, actual]);
    if (!generalised) return quotient(b, both, total, smooth);
    // An absent class counts as one of a single place; the weights are no function of the output.
    const size = b.op('Max', [actual, b.scalar(1)]);
    const weight = b.op('Reciprocal', [b.op('Mul', [size, size])]);
    const over = (value: Value): Value =>
      b.op('ReduceSum', [b.op('Mul', [value, weight]), b.ints([1])], { keepdims: 1 });
    return quotient(b, over(both), over(total), smooth);
  };
}

/** (2x + s)/(y + s). */
function quotient(b: Builder, both: Value, total: Value, smooth: number): Value {
  const twice = b.op('Add', [both, both]);
  if (smooth === 0) return ratio(b, twice, total);
  const constant = b.scalar(smooth);
  return b.op('Div', [b.op('Add', [twice, constant]), b.op('Add', [total, constant])]);
}

function overlapLoss(options: OverlapOptions, shape: DiceShape, index: Index): Loss {
  const { activation = 'sigmoid', over = 'sample', smooth = 1 } = options;
  const isIndexed = activation === 'softmax';
  return {
    labelDtype: isIndexed ? 'int32' : 'float32',
    wants: isIndexed ? 'an output [batch, classes, ...] of logits' : 'an output [batch, ...]',
    labelShape: (output) => labelShape(options, shape, output),
    labelRule: (output): LabelRule => {
      const count = output[axisOf(options, output.length)];
      return isIndexed
        ? { kind: 'classes', ...(typeof count === 'number' ? { count } : {}) }
        : { kind: 'range', low: 0, high: 1 };
    },
    of: (b, output, labels, weights) => {
      const { predicted, actual } = places(b, options, output, labels);
      const sums = overlapOf(b, options, shape, { predicted, actual, weights });
      const each = b.op('Sub', [b.scalar(1), index(b, sums, smooth)]);
      const losses = perRow(b, each, 'mean');
      if (over === 'sample') return { rows: losses, mean: combine(b, { rows: losses, weights }) };
      // Every row of a batch has the loss of the batch.
      const rows = b.op('Expand', [losses, b.shapeOf(weights)]);
      return {
        rows: b.adopt({ ...rows, shape: dims(weights) }),
        mean: combine(b, { rows, weights }),
      };
    },
  };
}

function axisOf({ classAxis = 1 }: OverlapOptions, rank: number): number {
  return classAxis === 1 ? 1 : rank - 1;
}

function labelShape(options: OverlapOptions, shape: DiceShape, output: Shape): Shape | undefined {
  const classes = output[axisOf(options, output.length)];
  const needsClasses =
    options.activation === 'softmax' ||
    options.perClass === true ||
    options.skipsBackground === true ||
    shape.generalised === true;
  if (output.length < 2 || (needsClasses && typeof classes !== 'number')) return undefined;
  if (options.activation !== 'softmax') return output;
  return output.filter((_, i) => i !== axisOf(options, output.length));
}

/** Probabilities and truth as [rows, classes, places]. */
function places(b: Builder, options: OverlapOptions, output: Value, labels: Value) {
  const { activation = 'sigmoid', skipsBackground = false } = options;
  const rank = dims(output).length;
  const axis = axisOf(options, rank);
  const probability =
    activation === 'sigmoid'
      ? b.op('Sigmoid', [output])
      : activation === 'softmax'
        ? b.op('Softmax', [output], { axis })
        : output;
  const truth =
    activation === 'softmax' ? oneHot(b, labels, Number(dims(output)[axis]), axis) : labels;
  const layOut = (value: Value): Value => {
    const moved =
      axis === 1
        ? value
        : b.op('Transpose', [value], {
            perm: [0, axis, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)],
          });
    const flat = b.op('Reshape', [moved, b.ints([0, 0, -1])]);
    return skipsBackground
      ? b.op('Slice', [flat, b.ints([1]), b.ints([Number.MAX_SAFE_INTEGER]), b.ints([1])])
      : flat;
  };
  return { predicted: layOut(probability), actual: layOut(truth) };
}

function oneHot(b: Builder, labels: Value, classes: number, axis: number): Value {
  const values = b.constant({
    dtype: 'float32',
    dims: [2],
    bytes: new Uint8Array(Float32Array.of(0, 1).buffer),
  });
  return b.op('OneHot', [b.op('Cast', [labels], { to: 7 }), b.ints([classes]), values], { axis });
}

function overlapOf(
  b: Builder,
  options: OverlapOptions,
  shape: DiceShape,
  c: { readonly predicted: Value; readonly actual: Value; readonly weights: Value },
): Overlap {
  const keepsClasses = options.perClass === true || shape.generalised === true;
  const isBatch = options.over === 'batch';
  const axes = [...(isBatch ? [0] : []), ...(keepsClasses ? [] : [1]), 2];
  const weighed = (value: Value): Value =>
    isBatch ? b.op('Mul', [value, b.op('Reshape', [c.weights, b.ints([-1, 1, 1])])]) : value;
  const sum = (value: Value): Value => {
    const kept = b.op('ReduceSum', [weighed(value), b.ints(axes)], { keepdims: 1 });
    return b.op('Squeeze', [kept, b.ints([2])]);
  };
  const own = (value: Value): Value =>
    shape.squared === true ? b.op('Mul', [value, value]) : value;
  return {
    both: sum(b.op('Mul', [c.predicted, c.actual])),
    predicted: sum(own(c.predicted)),
    actual: sum(own(c.actual)),
  };
}
