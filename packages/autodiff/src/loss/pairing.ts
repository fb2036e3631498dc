import { combine, perRow, type Loss } from './loss.ts';
import type { LossOf } from './options.ts';

/** Added to squared lengths in torch.nn.CosineEmbeddingLoss. */
const LENGTH_EPSILON = 1e-12;

/**
 * t·(ln t − x) for logarithms x of probabilities, 0 where t = 0; torch.nn.KLDivLoss. `batchmean` adds
 * up within a row and takes the mean over rows.
 */
export function klDivergence(options: LossOf<'kl_div'>): Loss {
  const { reduction = 'mean', logTarget = false } = options;
  return {
    labelDtype: 'float32',
    labelShape: (output) => (output.length >= 1 ? output : undefined),
    wants: 'an output [batch, ...] of logarithms of probabilities',
    ...(logTarget ? {} : { labelRule: () => ({ kind: 'range', low: 0, high: 1 }) as const }),
    of: (b, output, labels, weights) => {
      const log = logTarget
        ? labels
        : b.op('Log', [
            b.op('Where', [b.op('Greater', [labels, b.scalar(0)]), labels, b.scalar(1)]),
          ]);
      const share = logTarget ? b.op('Exp', [labels]) : labels;
      const each = b.op('Mul', [share, b.op('Sub', [log, output])]);
      const rows = perRow(b, each, reduction === 'mean' ? 'mean' : 'sum');
      const how = reduction === 'sum' ? 'sum' : 'mean';
      return { rows, mean: combine(b, { rows, weights, reduction: how }) };
    },
  };
}

/**
 * 1 − cos for pairs labelled 1 and max(0, cos − margin) for those labelled −1, of an output
 * [batch, 2, numbers] that holds both vectors; torch.nn.CosineEmbeddingLoss.
 */
export function cosineEmbedding(options: LossOf<'cosine_embedding'>): Loss {
  const { reduction = 'mean', margin = 0 } = options;
  return {
    labelDtype: 'float32',
    labelShape: (output) =>
      output.length === 3 && output[1] === 2 ? output.slice(0, 1) : undefined,
    wants: 'an output [batch, 2, numbers] of two vectors',
    labelRule: () => ({ kind: 'range', low: -1, high: 1 }),
    of: (b, output, labels, weights) => {
      const [first, second] = b
        .many('Split', [output, b.ints([1, 1])], { axis: 1 }, 2)
        .map((part) => b.op('Squeeze', [part, b.ints([1])]));
      const dot = (x: typeof first, y: typeof first) =>
        b.op('ReduceSum', [b.op('Mul', [x, y]), b.ints([1])], { keepdims: 0 });
      const length = (x: typeof first) => b.op('Add', [dot(x, x), b.scalar(LENGTH_EPSILON)]);
      const lengths = b.op('Sqrt', [b.op('Mul', [length(first), length(second)])]);
      const cosine = b.op('Div', [dot(first, second), lengths]);
      const near = b.op('Sub', [b.scalar(1), cosine]);
      const far = b.op('Relu', [b.op('Sub', [cosine, b.scalar(margin)])]);
      const rows = b.op('Where', [b.op('Greater', [labels, b.scalar(0)]), near, far]);
      return { rows, mean: combine(b, { rows, weights, reduction }) };
    },
  };
}
