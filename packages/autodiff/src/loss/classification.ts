import type { Loss } from './loss.ts';

/**
 * softplus(x) − x·y = −y·ln σ(x) − (1 − y)·ln(1 − σ(x)), without overflow for any logit x and with the
 * gradient σ(x) − y; torch.nn.BCEWithLogitsLoss. Labels y in [0, 1].
 */
export const BCE_WITH_LOGITS: Loss = {
  labelDtype: 'float32',
  labelShape: (output) => (output.length >= 1 ? output : undefined),
  wants: 'an output [batch, ...] of logits',
  elements: (b, output, labels) =>
    b.op('Sub', [b.op('Softplus', [output]), b.op('Mul', [output, labels])]),
};

/** −log softmax(x)[label] over the last axis; torch.nn.CrossEntropyLoss with class indices. */
export const CROSS_ENTROPY: Loss = {
  labelDtype: 'int32',
  labelShape: (output) => (output.length >= 2 ? output.slice(0, -1) : undefined),
  wants: 'an output [batch, ..., classes] of logits',
  elements: (b, output, labels) => {
    const logs = b.op('LogSoftmax', [output], { axis: -1 });
    const index = b.op('Unsqueeze', [labels, b.ints([-1])]);
    const picked = b.op('GatherElements', [logs, index], { axis: -1 });
    return b.op('Neg', [b.op('Squeeze', [picked, b.ints([-1])])]);
  },
};
