import type { Builder } from '../../graph/builder.ts';
import { joined } from '../../graph/flat.ts';
import { dims, type Value } from '../../graph/graph.ts';
import { movedParameters, parameterCount } from '../../parameters.ts';
import type { Batch, forward, Plan } from '../core.ts';
import { clippedByGhost, type ForwardRows } from './ghost.ts';
import { clippedByLoop } from './loop.ts';

/** The forward pass of the core, which depends on this file. */
export type Forward = typeof forward;

/** The norms before clipping and Σ clip(∇ᵢ) over the examples. */
interface Clipped {
  /** Flat, [trainableCount]. */
  readonly sum: Value;
  /** [rows] */
  readonly norms: Value;
  /** Weighted mean loss of the batch before clipping, a scalar. */
  readonly loss: Value;
}

/** Clipped gradients of a batch, by the method that `plan.clipping` names. */
export function clippedGradients(c: {
  readonly b: Builder;
  readonly plan: Plan;
  readonly batch: Batch;
  /** Clip norm, a float32 scalar. */
  readonly clip: Value;
  readonly run: Forward;
}): Clipped {
  const { b, plan, batch, clip, run } = c;
  if (plan.clipping === 'loop') return byLoop(c);
  const f = forwardRows(b, plan, batch, run);
  const found = clippedByGhost(f, clip);
  if (found === undefined) throw new TypeError('the method was chosen for another graph');
  return { sum: joined(b, found.sums), norms: found.norms, loss: f.mean };
}

function byLoop({ b, plan, batch, clip, run }: Parameters<typeof clippedGradients>[0]): Clipped {
  const names = [...batch.inputs.keys()];
  const one: Plan = { ...plan, outputShape: [1, ...plan.outputShape.slice(1)] };
  const { sum, norms, losses } = clippedByLoop(
    b,
    {
      parameters: batch.parameters[0]!,
      rows: [...batch.inputs.values(), batch.labels, batch.weights],
      count: parameterCount(movedParameters(plan.model.parameters)),
      forward: (inner, parameters, rows) => {
        const inputs = new Map(names.map((name, i) => [name, rows[i]!]));
        const [labels, weights] = rows.slice(names.length) as [Value, Value];
        return forwardRows(inner, one, { parameters: [parameters], inputs, labels, weights }, run);
      },
    },
    clip,
  );
  const total = b.op('ReduceSum', [batch.weights], { keepdims: 0 });
  const isEmpty = b.op('Equal', [total, b.scalar(0)]);
  const weighted = b.op('Mul', [losses, batch.weights]);
  const loss = b.op('Div', [
    b.op('ReduceSum', [weighted], { keepdims: 0 }),
    b.op('Where', [isEmpty, b.scalar(1), total]),
  ]);
  return { sum, norms, loss };
}

/** A forward pass with what clipping needs of it. */
export function forwardRows(
  b: Builder,
  plan: Plan,
  batch: Batch,
  run: Forward,
): ForwardRows & { readonly mean: Value; readonly output: Value } {
  const { placed, parameters, rows, mean, output } = run(b, plan, plan.training, batch);
  return {
    b,
    placed,
    weights: parameters.slice(0, movedParameters(plan.model.parameters).length),
    data: [...batch.inputs.values(), batch.labels, batch.weights],
    losses: rows,
    rowWeights: batch.weights,
    mean,
    output,
  };
}

/** The numbers of a private training that are inputs of its graphs, as float32 scalars. */
export function privacyInputs(
  b: Builder,
  hyper: Readonly<Record<string, Value>>,
): { readonly clip: Value; readonly lotSize: Value } {
  const float = (name: string): Value => b.op('Cast', [hyper[name]], { to: 1 });
  return { clip: float('clip_norm'), lotSize: float('lot_size') };
}

/** (sum + noise) / lot size: the gradient that the optimizer sees. Scalars are float32. */
export function noised(b: Builder, sum: Value, noise: Value, lotSize: Value): Value {
  const gradient = b.op('Div', [b.op('Add', [sum, noise]), lotSize]);
  return b.adopt({ ...gradient, shape: dims(noise) });
}
