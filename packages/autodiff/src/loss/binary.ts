import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { elementwise, type LabelRule, type Loss } from './loss.ts';
import type { LossOf } from './options.ts';

const PROBABILITIES = (): LabelRule => ({ kind: 'range', low: 0, high: 1 });
const oneMinus = (b: Builder, x: Value): Value => b.op('Sub', [b.scalar(1, x), x]);

/** Least logarithm of a probability, as torch.nn.BCELoss has it. */
const LEAST_LOG = -100;

/** −y·ln p − (1 − y)·ln(1 − p), logarithms not below −100; torch.nn.BCELoss. */
export const bce = (options: LossOf<'bce'>): Loss =>
  elementwise(
    { ...options, wants: 'an output [batch, ...] of probabilities', labelRule: PROBABILITIES },
    (b, output, labels) => {
      const yes = b.op('Mul', [labels, heldLog(b, output)]);
      const no = b.op('Mul', [oneMinus(b, labels), heldLog(b, oneMinus(b, output))]);
      return b.op('Neg', [b.op('Add', [yes, no])]);
    },
  );

/** max(ln p, −100), with the gradient 0 instead of NaN where p is that small. */
function heldLog(b: Builder, probability: Value): Value {
  const isTiny = b.op('Less', [probability, b.scalar(Math.exp(LEAST_LOG))]);
  const log = b.op('Log', [b.op('Where', [isTiny, b.scalar(1), probability])]);
  return b.op('Where', [isTiny, b.scalar(LEAST_LOG), log]);
}

/**
 * softplus(x) − x·y = −y·ln σ(x) − (1 − y)·ln(1 − σ(x)), without overflow for any logit x and with the
 * gradient σ(x) − y; torch.nn.BCEWithLogitsLoss. Labels y in [0, 1].
 */
export function bceWithLogits(options: LossOf<'bce_with_logits'>): Loss {
  const { positiveWeight } = options;
  const count = typeof positiveWeight === 'object' ? positiveWeight.length : undefined;
  const fits = (output: Shape): boolean =>
    output.length >= 1 && (count === undefined || (output.length > 1 && output.at(-1) === count));
  return elementwise(
    {
      ...options,
      wants: `an output [batch, ...${count === undefined ? '' : `, ${count}`}] of logits`,
      labelRule: PROBABILITIES,
      labelShape: (output) => (fits(output) ? output : undefined),
    },
    (b, output, labels) => {
      if (positiveWeight === undefined) return logistic(b, output, labels);
      const numbers = typeof positiveWeight === 'number' ? [positiveWeight] : positiveWeight;
      const factor = b.constant(floatTensor(count === undefined ? [] : [count], numbers));
      // (1 − y)·x + (1 + (p − 1)·y)·softplus(−x), as torch writes it.
      const share = b.op('Add', [
        b.op('Mul', [b.op('Sub', [factor, b.scalar(1)]), labels]),
        b.scalar(1),
      ]);
      const miss = b.op('Mul', [share, b.op('Softplus', [b.op('Neg', [output])])]);
      return b.op('Add', [b.op('Mul', [oneMinus(b, labels), output]), miss]);
    },
  );
}

/** Binary cross-entropy of logits, element by element. */
export function logistic(b: Builder, output: Value, labels: Value): Value {
  return b.op('Sub', [b.op('Softplus', [output]), b.op('Mul', [output, labels])]);
}

/**
 * (1 − pₜ)^γ times the cross-entropy of logits (Lin et al. 2017, eq. 5); torchvision's
 * sigmoid_focal_loss, whose alpha is 0.25. 1 − pₜ = y(1 − p) + (1 − y)p is taken as a power through its
 * logarithm, so that it is exact for sure answers; labels between 0 and 1 are mixed linearly.
 */
export const binaryFocal = (options: LossOf<'binary_focal'>): Loss =>
  elementwise(
    { ...options, wants: 'an output [batch, ...] of logits', labelRule: PROBABILITIES },
    (b, output, labels) => {
      const { gamma = 2, alpha } = options;
      const [missedYes, missedNo] = [
        b.op('Softplus', [b.op('Neg', [output])]),
        b.op('Softplus', [output]),
      ];
      // ln(1 − p) = −softplus(x), ln p = −softplus(−x).
      const term = (miss: Value, other: Value, share: Value, weight: number): Value => {
        const power = b.op('Exp', [b.op('Mul', [other, b.scalar(-gamma)])]);
        const loss = b.op('Mul', [b.op('Mul', [power, miss]), share]);
        return weight === 1 ? loss : b.op('Mul', [loss, b.scalar(weight)]);
      };
      const yes = term(missedYes, missedNo, labels, alpha ?? 1);
      const no = term(missedNo, missedYes, oneMinus(b, labels), 1 - (alpha ?? 0));
      return b.op('Add', [yes, no]);
    },
  );
