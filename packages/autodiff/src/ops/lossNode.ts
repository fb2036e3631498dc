import type { Builder } from '../graph/builder.ts';
import { dims, intOf, stringOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred, Maybe } from '../graph/infer.ts';
import type { GradientContext, GradientRule, Operator } from '../graph/operator.ts';

function inferLoss(c: InferContext): readonly Inferred[] {
  const [scores, labels] = c.inputs;
  const isEach = stringOf(c, 'reduction', 'mean') === 'none';
  const loss = { dtype: scores?.dtype, shape: isEach ? labels?.shape : [] };
  return [loss, { dtype: scores?.dtype, shape: scores?.shape }].slice(0, c.outputCount);
}

/** How much each label counts, and which class is meant, with a harmless one where it is ignored. */
function labelsOf(c: GradientContext): { readonly classes: Value; readonly counts: Value } {
  const { b, inputs } = c;
  const [scores, labels, weights] = [inputs[0]!, inputs[1]!, inputs[2]];
  const one = b.scalar(1, scores);
  const every = (): Value => b.op('Expand', [one, b.shapeOf(labels)]);
  if (!c.attributes.has('ignore_index')) {
    const counts = weights === undefined ? every() : b.op('Gather', [weights, labels], { axis: 0 });
    return {
      classes: labels,
      counts: b.adopt({ ...counts, dtype: scores.dtype, shape: dims(labels) }),
    };
  }
  const like = (value: number): Value => b.op('CastLike', [b.ints([value]), labels]);
  const isIgnored = b.op('Equal', [labels, like(intOf(c, 'ignore_index', 0))]);
  const classes = b.adopt({ ...b.op('Where', [isIgnored, like(0), labels]), shape: dims(labels) });
  const counted = weights === undefined ? one : b.op('Gather', [weights, classes], { axis: 0 });
  const counts = b.op('Where', [isIgnored, b.scalar(0, scores), counted]);
  return { classes, counts: b.adopt({ ...counts, dtype: scores.dtype, shape: dims(labels) }) };
}

/** The gradient of each element's weighted loss: that of the reduced one, spread as it was reduced. */
function elementGradient(c: GradientContext, g: Value, counts: Value): Value {
  const { b } = c;
  if (stringOf(c, 'reduction', 'mean') !== 'mean') return b.op('Mul', [counts, g]);
  const total = b.op('ReduceSum', [counts], { keepdims: 0 });
  const isEmpty = b.op('Equal', [total, b.scalar(0, total)]);
  const divisor = b.op('Where', [isEmpty, b.scalar(1, total), total]);
  return b.op('Mul', [counts, b.op('Div', [g, divisor])]);
}

/** `onto` minus `share` at the label's place along the class axis. */
function subtractAtLabels(b: Builder, onto: Value, classes: Value, share: Value): Value {
  const axis = b.ints([1]);
  const updates = b.op('Neg', [b.op('Unsqueeze', [share, axis])]);
  const index = b.op('Unsqueeze', [classes, axis]);
  const made = b.op('ScatterElements', [onto, index, updates], { axis: 1, reduction: 'add' });
  return b.adopt({ ...made, dtype: onto.dtype, shape: dims(onto) });
}

const negativeLogLikelihood: GradientRule = (c, [g]) => {
  const { b, inputs } = c;
  const { classes, counts } = labelsOf(c);
  const zeros = b.op('Expand', [b.scalar(0, inputs[0]), b.shapeOf(inputs[0]!)]);
  return [subtractAtLabels(b, zeros, classes, elementGradient(c, g!, counts))];
};

/**
 * dX = (softmax − onehot(label))·dL per element, and dP − softmax·Σ dP for the gradient dP of the
 * second output, the logarithms of the softmax.
 */
const softmaxCrossEntropy: GradientRule = (c, [g, dLogs]) => {
  const { b, inputs, outputs, demand } = c;
  const scores = inputs[0]!;
  const logs = outputs[1] ?? demand(1, scores.dtype!, dims(scores));
  const softmax = b.op('Exp', [logs]);
  const axis = b.ints([1]);
  const parts: Maybe[] = [];
  if (g !== undefined) {
    const { classes, counts } = labelsOf(c);
    const each = elementGradient(c, g, counts);
    const spread = b.op('Mul', [softmax, b.op('Unsqueeze', [each, axis])]);
    parts.push(subtractAtLabels(b, spread, classes, each));
  }
  if (dLogs !== undefined) {
    const total = b.op('ReduceSum', [dLogs, axis], { keepdims: 1 });
    parts.push(b.op('Sub', [dLogs, b.op('Mul', [softmax, total])]));
  }
  return [parts.length === 1 ? parts[0] : b.op('Add', parts)];
};

/** Loss operators of ONNX itself; class weights and labels are settings. */
export const LOSS_NODE: readonly Operator[] = [
  {
    op: 'NegativeLogLikelihoodLoss',
    infer: inferLoss,
    gradient: negativeLogLikelihood,
    settings: [1, 2],
  },
  {
    op: 'SoftmaxCrossEntropyLoss',
    infer: inferLoss,
    gradient: softmaxCrossEntropy,
    settings: [1, 2],
  },
];
