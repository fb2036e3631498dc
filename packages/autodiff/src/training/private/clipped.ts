import { MedleyError } from '@medley/kit';
import { Builder } from '../../graph/builder.ts';
import { dims, intOf, type Graph, type Value } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';
import { infer } from '../../ops/registry.ts';
import { movedParameters, parameterCount } from '../../parameters.ts';
import type { Batch, forward, Plan } from '../core.ts';
import { clippedByGhost, type ForwardRows } from './ghost.ts';
import { clippedByLoop } from './loop.ts';
import { rowAxes } from './rows.ts';

/** Differentially private training: every example's gradient is clipped before the sum is taken. */
export interface PrivacyOptions {
  /** L2 norm C that the gradient of one example has at most, above 0. */
  readonly clip: number;
  /** Expected number of examples of an update, above 0; what the noised sum is divided by. */
  readonly lotSize: number;
}

/**
 * How the gradients of single examples are found: `ghost` from one pass over the batch, `loop` by a
 * pass for each example.
 */
export type ClippingMethod = 'ghost' | 'loop';

type Forward = typeof forward;

/** The norms before clipping and Σ clip(∇ᵢ) over the examples. */
interface Clipped {
  /** Flat, [trainableCount]. */
  readonly sum: Value;
  /** [rows] */
  readonly norms: Value;
  /** Weighted mean loss of the batch before clipping, a scalar. */
  readonly loss: Value;
}

/**
 * Checks the options and chooses the method. Throws TRAINING_OPTIONS_INVALID,
 * TRAINING_PRIVACY_BATCHNORM for normalisation by the batch, TRAINING_PRIVACY_LOSS for a loss that
 * compares examples, TRAINING_PRIVACY_ROWS for a model of a fixed number of rows that needs the loop.
 */
export function clippingMethod(
  plan: Plan,
  options: PrivacyOptions,
  specs: {
    readonly inputs: readonly {
      readonly name: string;
      readonly shape: Shape;
      readonly dtype: Value['dtype'];
    }[];
    readonly labels: { readonly shape: Shape; readonly dtype: Value['dtype'] };
  },
  run: Forward,
): ClippingMethod {
  for (const [name, value] of Object.entries({ clip: options.clip, lotSize: options.lotSize })) {
    if (!(value > 0 && value < Infinity))
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `privacy.${name} must be above 0`);
  }
  const batchNorm = normalisesByBatch(plan.training);
  if (batchNorm !== undefined) {
    throw new MedleyError('TRAINING_PRIVACY_BATCHNORM', `node "${batchNorm}" mixes the examples`);
  }
  const b = new Builder(infer);
  const count = parameterCount(plan.model.parameters);
  const batch: Batch = {
    parameters: b.input('parameters', 'float32', [count]),
    inputs: new Map(
      specs.inputs.map(({ name, shape, dtype }) => [name, b.input(`input:${name}`, dtype!, shape)]),
    ),
    labels: b.input('labels', specs.labels.dtype!, specs.labels.shape),
    weights: b.input('sample_weights', 'float32', [specs.labels.shape[0]!]),
  };
  const f = forwardRows(b, plan, batch, run);
  checkLoss(b, f);
  if (clippedByGhost(f, b.input('clip', 'float32', [])) !== undefined) return 'ghost';
  const fixed = specs.inputs.find(({ shape }) => typeof shape[0] === 'number' && shape[0] !== 1);
  if (fixed !== undefined) {
    throw new MedleyError(
      'TRAINING_PRIVACY_ROWS',
      `the input "${fixed.name}" is of ${fixed.shape[0]!} rows, and the examples must be taken one by one`,
    );
  }
  return 'loop';
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
  const flat = found.sums.map((sum) =>
    sum.shape?.length === 1 ? sum : b.op('Reshape', [sum, b.ints([-1])]),
  );
  const sum = flat.length === 1 ? flat[0]! : b.op('Concat', flat, { axis: 0 });
  return { sum, norms: found.norms, loss: f.mean };
}

function byLoop({ b, plan, batch, clip, run }: Parameters<typeof clippedGradients>[0]): Clipped {
  const names = [...batch.inputs.keys()];
  const one: Plan = { ...plan, outputShape: [1, ...plan.outputShape.slice(1)] };
  const { sum, norms, losses } = clippedByLoop(
    b,
    {
      parameters: batch.parameters,
      rows: [...batch.inputs.values(), batch.labels, batch.weights],
      count: parameterCount(movedParameters(plan.model.parameters)),
      forward: (inner, parameters, rows) => {
        const inputs = new Map(names.map((name, i) => [name, rows[i]!]));
        const [labels, weights] = rows.slice(names.length) as [Value, Value];
        return forwardRows(inner, one, { parameters, inputs, labels, weights }, run);
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

function forwardRows(
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

/** Throws TRAINING_PRIVACY_LOSS unless the loss of a row is proven to be of that row alone. */
function checkLoss(b: Builder, f: ForwardRows & { readonly output: Value }): void {
  // Nodes of the model are copies of those of its file; those of the loss are their own source.
  const tail = f.placed.nodes.flatMap(({ node, source }) => (node === source ? [node] : []));
  const wanted = new Set([f.losses.name]);
  const needed = [...tail].reverse().filter((node) => {
    if (!node.outputs.some((name) => wanted.has(name))) return false;
    for (const input of node.inputs) wanted.add(input);
    return true;
  });
  const [labels, weights] = f.data.slice(-2) as [Value, Value];
  const known = rowAxes(b, needed.reverse(), [f.output, labels, weights]);
  const fault = 'fault' in known ? known.fault : undefined;
  if (fault === undefined && 'axes' in known && known.axes.get(f.losses.name) === 0) return;
  throw new MedleyError(
    'TRAINING_PRIVACY_LOSS',
    `the loss of one example depends on others${fault === undefined ? '' : `: ${fault}`}`,
  );
}

/** Name of a node that normalises by the batch, also in subgraphs. */
function normalisesByBatch(graph: Graph): string | undefined {
  for (const node of graph.nodes) {
    if (node.op === 'BatchNormalization' && intOf(node, 'training_mode', 0) === 1) return node.name;
    for (const attribute of node.attributes.values()) {
      const inner = attribute.kind === 'graph' ? normalisesByBatch(attribute.value) : undefined;
      if (inner !== undefined) return inner;
    }
  }
  return undefined;
}

/** The numbers of {@link PrivacyOptions} that stay inputs of the graphs, with their defaults. */
export function privacyNumbers({
  clip,
  lotSize,
}: PrivacyOptions): Readonly<Record<string, number>> {
  return { clip_norm: clip, lot_size: lotSize };
}

/** Those inputs as float32 scalars. */
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
