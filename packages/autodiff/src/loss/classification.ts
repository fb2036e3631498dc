import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { byMass, combine, perRow, type Loss, type Losses } from './loss.ts';
import type { LossOf } from './options.ts';

/** Label that torch leaves out where nothing else is said. */
export const IGNORE_INDEX = -100;

type ClassLoss = LossOf<'cross_entropy'> | LossOf<'nll'> | LossOf<'focal'>;

/** Where the classes stand in an output of rank `rank`. */
export function classAxisOf(options: { readonly classAxis?: -1 | 1 }, rank: number): number {
  return options.classAxis === -1 ? rank - 1 : 1;
}

/** The output's shape without the class axis; undefined below two axes or for another class count. */
function placesOf(options: ClassLoss, output: Shape): Shape | undefined {
  const axis = classAxisOf(options, output.length);
  const wanted = options.classWeights?.length;
  const fits = output.length >= 2 && (wanted === undefined || output[axis] === wanted);
  return fits ? output.filter((_, i) => i !== axis) : undefined;
}

function wantsOf(options: ClassLoss, what: string): string {
  const classes = options.classWeights?.length ?? 'classes';
  const form = options.classAxis === -1 ? `[batch, ..., ${classes}]` : `[batch, ${classes}, ...]`;
  return `an output ${form} of ${what}`;
}

/** What a loss over class indices says of its labels. */
function ofIndices(
  options: ClassLoss,
  what: string,
): Pick<Loss, 'labelDtype' | 'labelShape' | 'wants' | 'labelRule'> {
  return {
    labelDtype: 'int32',
    labelShape: (output) => placesOf(options, output),
    wants: wantsOf(options, what),
    labelRule: (output) => {
      const count = output[classAxisOf(options, output.length)];
      return {
        kind: 'classes',
        ...(typeof count === 'number' ? { count } : {}),
        ignore: options.ignoreIndex ?? IGNORE_INDEX,
      };
    },
  };
}

/** −log softmax(x)[label]; torch.nn.CrossEntropyLoss with all its settings. */
export function crossEntropy(options: LossOf<'cross_entropy'>): Loss {
  if (options.softTargets === true) return softCrossEntropy(options);
  return {
    ...ofIndices(options, 'logits'),
    of: (b, output, labels, weights) => {
      const axis = classAxisOf(options, dims(output).length);
      const logs = b.op('LogSoftmax', [output], { axis });
      return indexed(b, options, { logs, labels, weights });
    },
  };
}

/** −x[label] of logarithms of probabilities; torch.nn.NLLLoss. */
export const nll = (options: LossOf<'nll'>): Loss => ({
  ...ofIndices(options, 'logarithms of probabilities'),
  of: (b, output, labels, weights) => indexed(b, options, { logs: output, labels, weights }),
});

/**
 * −(1 − p)^γ·ln p for the probability p = softmax(x)[label] (Lin et al. 2017, eq. 4). With class
 * weights these are its alpha, and the mean is over places, not over weights. 1 − p is added up from
 * the other classes, so that it is exact for sure answers.
 */
export const focal = (options: LossOf<'focal'>): Loss => ({
  ...ofIndices(options, 'logits'),
  of: (b, output, labels, weights) => {
    const { gamma = 2, reduction = 'mean' } = options;
    const axis = classAxisOf(options, dims(output).length);
    const logs = b.op('LogSoftmax', [output], { axis });
    const { log, safe, counts } = picked(b, options, logs, labels);
    const isTrue = b.op('Equal', [
      b.op('Unsqueeze', [safe, b.ints([axis])]),
      classNumbers(b, logs, axis),
    ]);
    const others = b.op('Where', [isTrue, b.scalar(-1e30), logs]);
    const rest = b.op('ReduceLogSumExp', [others, b.ints([axis])], { keepdims: 0 });
    const power = b.op('Exp', [b.op('Mul', [rest, b.scalar(gamma)])]);
    const loss = b.op('Neg', [b.op('Mul', [power, log])]);
    const classed = weighClasses(b, options, loss, safe);
    const totals = perRow(b, b.op('Where', [counts, classed, b.scalar(0)]), 'sum');
    const mass = perRow(b, b.op('Cast', [counts], { to: 1 }), 'sum');
    return byMass(b, { totals, mass, weights, reduction });
  },
});

/** The class numbers 0 … C − 1 laid along `axis`, int32. */
function classNumbers(b: Builder, logs: Value, axis: number): Value {
  const rank = dims(logs).length;
  const count = b.op('Gather', [b.shapeOf(logs), b.constant(scalarInt(axis))], { axis: 0 });
  const range = b.op('Range', [b.constant(scalarInt(0)), count, b.constant(scalarInt(1))]);
  const shape = Array.from({ length: rank }, (_, i) => (i === axis ? -1 : 1));
  return b.op('Cast', [b.op('Reshape', [range, b.ints(shape)])], { to: 6 });
}

function scalarInt(value: number) {
  return {
    dtype: 'int64',
    dims: [],
    bytes: new Uint8Array(BigInt64Array.of(BigInt(value)).buffer),
  } as const;
}

/** The logarithm at the label, labels made safe to index with, and which places count. */
function picked(b: Builder, options: ClassLoss, logs: Value, labels: Value) {
  const axis = classAxisOf(options, dims(logs).length);
  const ignored = b.constant({
    dtype: 'int32',
    dims: [],
    bytes: new Uint8Array(Int32Array.of(options.ignoreIndex ?? IGNORE_INDEX).buffer),
  });
  const zero = b.constant({ dtype: 'int32', dims: [], bytes: new Uint8Array(4) });
  const isIgnored = b.op('Equal', [labels, ignored]);
  const safe = b.op('Where', [isIgnored, zero, labels]);
  const index = b.op('Unsqueeze', [safe, b.ints([axis])]);
  const log = b.op('Squeeze', [b.op('GatherElements', [logs, index], { axis }), b.ints([axis])]);
  return { log, safe, counts: b.op('Not', [isIgnored]) };
}

function weighClasses(b: Builder, options: ClassLoss, loss: Value, safe: Value): Value {
  const { classWeights } = options;
  if (classWeights === undefined) return loss;
  const table = b.constant(floatTensor([classWeights.length], classWeights));
  return b.op('Mul', [loss, b.op('Gather', [table, safe], { axis: 0 })]);
}

/** Cross-entropy from logarithms and class indices; the mean is over the weights of the labels. */
function indexed(
  b: Builder,
  options: LossOf<'cross_entropy'> | LossOf<'nll'>,
  c: { readonly logs: Value; readonly labels: Value; readonly weights: Value },
): Losses {
  const { reduction = 'mean' } = options;
  const smoothing = options.kind === 'cross_entropy' ? (options.labelSmoothing ?? 0) : 0;
  const { log, safe, counts } = picked(b, options, c.logs, c.labels);
  const zero = b.scalar(0);
  let loss = weighClasses(b, options, b.op('Neg', [log]), safe);
  if (smoothing > 0) {
    const kept = b.op('Mul', [loss, b.scalar(1 - smoothing)]);
    loss = b.op('Add', [kept, b.op('Mul', [evenLoss(b, options, c.logs), b.scalar(smoothing)])]);
  }
  const totals = perRow(b, b.op('Where', [counts, loss, zero]), 'sum');
  const ones = b.op('Cast', [counts], { to: 1 });
  const mass = perRow(b, weighClasses(b, options, ones, safe), 'sum');
  return byMass(b, { totals, mass, weights: c.weights, reduction });
}

/** −Σ w_c·log p_c / C: the loss against all classes evenly. */
function evenLoss(b: Builder, options: ClassLoss, logs: Value): Value {
  const axis = classAxisOf(options, dims(logs).length);
  const weighed = alongClasses(b, options, logs, logs);
  return b.op('Neg', [b.op('ReduceMean', [weighed, b.ints([axis])], { keepdims: 0 })]);
}

/** `value` times the class weights along the class axis of `logs`. */
function alongClasses(b: Builder, options: ClassLoss, value: Value, logs: Value): Value {
  const { classWeights } = options;
  if (classWeights === undefined) return value;
  const rank = dims(logs).length;
  const axis = classAxisOf(options, rank);
  const shape = Array.from({ length: rank }, (_, i) => (i === axis ? classWeights.length : 1));
  return b.op('Mul', [value, b.constant(floatTensor(shape, classWeights))]);
}

/** −Σ w_c·t_c·log softmax(x)_c for probabilities t; torch takes the mean over places, not weights. */
function softCrossEntropy(options: LossOf<'cross_entropy'>): Loss {
  const { reduction = 'mean', labelSmoothing = 0 } = options;
  return {
    labelDtype: 'float32',
    labelShape: (output) => (placesOf(options, output) === undefined ? undefined : output),
    wants: wantsOf(options, 'logits'),
    labelRule: () => ({ kind: 'range', low: 0, high: 1 }),
    of: (b, output, labels, weights) => {
      const axis = classAxisOf(options, dims(output).length);
      const logs = b.op('LogSoftmax', [output], { axis });
      const product = alongClasses(b, options, b.op('Mul', [labels, logs]), logs);
      const loss = b.op('Neg', [b.op('ReduceSum', [product, b.ints([axis])], { keepdims: 0 })]);
      const even =
        labelSmoothing === 0
          ? loss
          : b.op('Add', [
              b.op('Mul', [loss, b.scalar(1 - labelSmoothing)]),
              b.op('Mul', [evenLoss(b, options, logs), b.scalar(labelSmoothing)]),
            ]);
      const rows = perRow(b, even, reduction);
      return { rows, mean: combine(b, { rows, weights, reduction }) };
    },
  };
}
