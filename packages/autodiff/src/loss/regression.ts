import type { Builder } from '../graph/builder.ts';
import { dims, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { floatTensor } from '../graph/tensor.ts';
import { elementwise, type Loss } from './loss.ts';
import type { LossOf } from './options.ts';

const HALF_LOG_TWO_PI = Math.log(2 * Math.PI) / 2;

const square = (b: Builder, x: Value): Value => b.op('Mul', [x, x]);
const times = (b: Builder, x: Value, factor: number): Value =>
  factor === 1 ? x : b.op('Mul', [x, b.scalar(factor, x)]);
const plus = (b: Builder, x: Value, number: number): Value =>
  number === 0 ? x : b.op('Add', [x, b.scalar(number, x)]);

/** (x − y)²; torch.nn.MSELoss. */
export const mse = (options: LossOf<'mse'>): Loss =>
  elementwise(options, (b, output, labels) => square(b, b.op('Sub', [output, labels])));

/** |x − y|; torch.nn.L1Loss. */
export const l1 = (options: Pick<LossOf<'l1'>, 'reduction'>): Loss =>
  elementwise(options, (b, output, labels) => b.op('Abs', [b.op('Sub', [output, labels])]));

/** ½e² up to |e| = δ, then δ(|e| − ½δ); torch.nn.HuberLoss. */
export const huber = (options: LossOf<'huber'>): Loss =>
  elementwise(options, (b, output, labels) => bent(b, output, labels, options.delta ?? 1));

/** ½e²/β up to |e| = β, then |e| − ½β; torch.nn.SmoothL1Loss. */
export function smoothL1(options: LossOf<'smooth_l1'>): Loss {
  const { beta = 1 } = options;
  if (beta === 0) return l1(options);
  return elementwise(options, (b, output, labels) =>
    times(b, bent(b, output, labels, beta), 1 / beta),
  );
}

/** ½c² + δ(|e| − c) with c = min(|e|, δ): one smooth formula, without a branch that could overflow. */
function bent(b: Builder, output: Value, labels: Value, delta: number): Value {
  const size = b.op('Abs', [b.op('Sub', [output, labels])]);
  const near = b.op('Clip', [size, undefined, b.scalar(delta)]);
  const line = times(b, b.op('Sub', [size, near]), delta);
  return b.op('Add', [times(b, square(b, near), 0.5), line]);
}

/** max(q·e, (q − 1)·e) with e = label − output: the pinball loss (Koenker and Bassett 1978). */
export function quantile(options: LossOf<'quantile'>): Loss {
  const { quantile: wanted = 0.5 } = options;
  const count = typeof wanted === 'number' ? undefined : wanted.length;
  const fits = (output: Shape): boolean =>
    output.length >= 1 && (count === undefined || (output.length > 1 && output.at(-1) === count));
  return elementwise(
    {
      ...options,
      wants: `an output [batch, ...${count === undefined ? '' : `, ${count}`}]`,
      labelShape: (output) => (fits(output) ? output : undefined),
    },
    (b, output, labels) => {
      const numbers = typeof wanted === 'number' ? [wanted] : wanted;
      const q = b.constant(floatTensor(count === undefined ? [] : [count], numbers));
      const error = b.op('Sub', [labels, output]);
      const below = b.op('Relu', [b.op('Neg', [error])]);
      return b.op('Add', [b.op('Mul', [error, q]), below]);
    },
  );
}

/** eˣ − y·x, or x − y·ln(x + ε) for plain rates; torch.nn.PoissonNLLLoss. */
export const poissonNll = (options: LossOf<'poisson_nll'>): Loss =>
  elementwise({ ...options, labelRule: () => ({ kind: 'range', low: 0 }) }, (b, output, labels) => {
    const { logInput = true, full = false, epsilon = 1e-8 } = options;
    const log = logInput ? output : b.op('Log', [plus(b, output, epsilon)]);
    const rate = logInput ? b.op('Exp', [output]) : output;
    const loss = b.op('Sub', [rate, b.op('Mul', [labels, log])]);
    return full ? b.op('Add', [loss, stirling(b, labels)]) : loss;
  });

/** y·ln y − y + ½·ln(2πy) for y > 1, else 0. */
function stirling(b: Builder, y: Value): Value {
  const isLarge = b.op('Greater', [y, b.scalar(1)]);
  const log = b.op('Log', [b.op('Where', [isLarge, y, b.scalar(1)])]);
  const main = b.op('Sub', [b.op('Mul', [y, log]), y]);
  const term = b.op('Add', [main, plus(b, times(b, log, 0.5), HALF_LOG_TWO_PI)]);
  return b.op('Where', [isLarge, term, b.scalar(0)]);
}

/**
 * ½(ln v + (x − y)²/v) for an output [..., 2k] that holds k means and then k variances (or their
 * logarithms); torch.nn.GaussianNLLLoss. A variance below ε counts as ε and gets no gradient, which
 * torch passes on.
 */
export const gaussianNll = (options: LossOf<'gaussian_nll'>): Loss =>
  elementwise(
    {
      ...options,
      wants: 'an output [batch, ..., 2k] of k means and k variances',
      labelShape: (output) => {
        const width = output.at(-1);
        const fits = output.length >= 2 && typeof width === 'number' && width % 2 === 0;
        return fits ? [...output.slice(0, -1), width / 2] : undefined;
      },
    },
    (b, output, labels) => {
      const { full = false, epsilon = 1e-6, logVariance = false } = options;
      const width = Number(dims(output).at(-1)) / 2;
      const parts = b.many('Split', [output, b.ints([width, width])], { axis: -1 }, 2);
      const [mean, spread] = parts as [Value, Value];
      const least = logVariance ? Math.log(epsilon) : epsilon;
      const held = b.op('Clip', [spread, b.scalar(least), undefined]);
      const log = logVariance ? held : b.op('Log', [held]);
      const error = square(b, b.op('Sub', [mean, labels]));
      const scaled = logVariance
        ? b.op('Mul', [error, b.op('Exp', [b.op('Neg', [held])])])
        : b.op('Div', [error, held]);
      const loss = times(b, b.op('Add', [log, scaled]), 0.5);
      return plus(b, loss, full ? HALF_LOG_TWO_PI : 0);
    },
  );
