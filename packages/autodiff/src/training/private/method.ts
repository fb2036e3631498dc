import { MedleyError } from '@medley/kit';
import { Builder } from '../../graph/builder.ts';
import type { DType } from '../../graph/dtype.ts';
import { intOf, type Graph, type Value } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';
import { infer } from '../../ops/registry.ts';
import { parameterCount } from '../../parameters.ts';
import type { Batch, Plan } from '../core.ts';
import { forwardRows, type Forward } from './clipped.ts';
import { clippedByGhost, type ForwardRows } from './ghost.ts';
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

/** What a training is given for its data. */
interface Specs {
  readonly inputs: readonly (Spec & { readonly name: string })[];
  readonly labels: Spec;
}

interface Spec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** What `privacy` brings into a training; nothing without it. */
export interface Clipping {
  readonly clipping?: ClippingMethod;
  /** For the manifest. */
  readonly record?: { readonly privacy: PrivacyOptions & { readonly method: ClippingMethod } };
  /** Numbers that stay inputs of the graphs, with their defaults. */
  readonly numbers?: Readonly<Record<string, number>>;
}

/**
 * Checks the options and chooses the method. Throws TRAINING_OPTIONS_INVALID,
 * TRAINING_PRIVACY_BATCHNORM for normalisation by the batch, TRAINING_PRIVACY_LOSS for a loss that
 * compares examples, TRAINING_PRIVACY_ROWS for a model of a fixed number of rows that needs the loop.
 */
export function clippingOf(
  plan: Plan,
  { privacy }: { readonly privacy?: PrivacyOptions },
  specs: Specs,
  run: Forward,
): Clipping {
  if (privacy === undefined) return {};
  checkOptions(privacy, plan.training);
  const clipping = methodOf(plan, specs, run);
  const { clip, lotSize } = privacy;
  return {
    clipping,
    record: { privacy: { clip, lotSize, method: clipping } },
    numbers: { clip_norm: clip, lot_size: lotSize },
  };
}

function checkOptions({ clip, lotSize }: PrivacyOptions, graph: Graph): void {
  for (const [name, value] of Object.entries({ clip, lotSize })) {
    if (!(value > 0 && value < Infinity))
      throw new MedleyError('TRAINING_OPTIONS_INVALID', `privacy.${name} must be above 0`);
  }
  const batchNorm = normalisesByBatch(graph);
  if (batchNorm !== undefined) {
    throw new MedleyError('TRAINING_PRIVACY_BATCHNORM', `node "${batchNorm}" mixes the examples`);
  }
}

function methodOf(plan: Plan, specs: Specs, run: Forward): ClippingMethod {
  const b = new Builder(infer);
  const count = parameterCount(plan.model.parameters);
  const batch: Batch = {
    parameters: [b.input('parameters', 'float32', [count])],
    inputs: new Map(
      specs.inputs.map(({ name, shape, dtype }) => [name, b.input(`input:${name}`, dtype, shape)]),
    ),
    labels: b.input('labels', specs.labels.dtype, specs.labels.shape),
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
