import { differentiate } from '../../differentiate.ts';
import type { Builder } from '../../graph/builder.ts';
import { joined } from '../../graph/flat.ts';
import { dims, type Value } from '../../graph/graph.ts';
import { gradientPath } from '../../path.ts';
import { floatTensor } from '../../graph/tensor.ts';
import { clipFactors } from './clip.ts';
import type { ForwardRows } from './ghost.ts';

/** The batch as the loop takes it apart. */
export interface LoopBatch {
  /** Flat, read by every turn. */
  readonly parameters: Value;
  /** Tensors whose first axis counts the examples. */
  readonly rows: readonly Value[];
  /** Length of the gradient. */
  readonly count: number;
  /** The forward pass over one example: `rows` with a first axis of size 1. */
  readonly forward: (b: Builder, parameters: Value, rows: readonly Value[]) => ForwardRows;
}

/**
 * Clipped gradients of the examples one after another, each by a forward and backward pass of its own
 * in the body of a Scan: right for any graph that takes a single row, as examples never meet.
 *
 * Returns the flat sum [count] with the norms before clipping and the losses, [rows].
 */
export function clippedByLoop(
  outer: Builder,
  batch: LoopBatch,
  clip: Value,
): { readonly sum: Value; readonly norms: Value; readonly losses: Value } {
  const b = outer.subgraph();
  const before = b.input('clipped_before', 'float32', [batch.count]);
  const rows = batch.rows.map((value, i) => {
    const [, ...rest] = dims(value);
    const row = b.input(`example_${i}`, value.dtype!, rest);
    const made = b.op('Unsqueeze', [row, b.ints([0])]);
    return b.adopt({ ...made, shape: [1, ...rest] });
  });
  const f = batch.forward(b, b.adopt(batch.parameters), rows);
  const sources = f.weights.map(({ name }) => name);
  const path = gradientPath(b, f.placed, sources, [f.losses.name]);
  const gradients = differentiate(b, path, new Map([[f.losses.name, f.rowWeights]]), f.weights);
  const gradient = joined(b, gradients);
  const { norms: norm, factors } = clipFactors(
    b,
    b.op('ReduceSumSquare', [gradient], { keepdims: 0 }),
    b.adopt(clip),
  );
  const after = b.op('Add', [before, b.op('Mul', [gradient, factors])]);
  const loss = b.op('Reshape', [f.losses, b.ints([])]);
  const body = b.graph('example', [after, norm, b.adopt({ ...loss, shape: [] })]);
  const zeros = outer.constant(floatTensor([batch.count], new Float32Array(batch.count)));
  const [sum, ...each] = outer.many(
    'Scan',
    [zeros, ...batch.rows],
    { body, num_scan_inputs: batch.rows.length },
    3,
  );
  const [norms, losses] = each.map((value) =>
    outer.adopt({ ...value, dtype: 'float32', shape: [dims(batch.rows[0]!)[0]!] }),
  );
  const total = outer.adopt({ ...sum!, dtype: 'float32', shape: [batch.count] });
  return { sum: total, norms: norms!, losses: losses! };
}
