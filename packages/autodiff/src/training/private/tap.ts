import { differentiate } from '../../differentiate.ts';
import type { Builder } from '../../graph/builder.ts';
import type { Node, Value } from '../../graph/graph.ts';
import type { Maybe } from '../../graph/infer.ts';

/** One place where a weight meets rows: input `index` of `node`, whose output has rows on axis 0. */
export interface Tap {
  readonly b: Builder;
  readonly node: Node;
  readonly index: number;
  readonly inputs: readonly Maybe[];
  /** The weight as the node takes it. */
  readonly weight: Value;
  /** Gradient of each row's loss with respect to its part of the node's output. */
  readonly dY: Value;
}

/** What is known of the gradients of single examples with respect to one weight. */
export interface PerExample {
  /** Squared L2 norms, [rows]. */
  readonly squares: Value;
  /** The gradients themselves, [rows, count], where they were written out. */
  readonly each?: Value;
}

/**
 * The gradient of the weight that the operator's own rule gives for `dY`, with `weight` in the place
 * of the tap's weight.
 */
export function weightGradient(tap: Tap, dY: Value, weight = tap.weight): Value {
  const { b, node, index } = tap;
  const inputs = node.inputs.map((name, i) => (i === index ? weight.name : name));
  const own: Node = weight === tap.weight ? node : { ...node, inputs };
  const seeds = new Map([[node.outputs[0]!, dY]]);
  return differentiate(b, [{ node: own, source: node }], seeds, [weight])[0]!;
}

/** Σ over all but the first axis of the squares of `value` [rows, ...]: [rows]. */
export function squares(b: Builder, value: Value): Value {
  const axes = (value.shape ?? []).map((_, i) => i).slice(1);
  if (axes.length === 0) return b.op('Mul', [value, value]);
  // ReduceSumSquare has no fast kernel for this in the runtime.
  return b.op('ReduceSum', [b.op('Mul', [value, value]), b.ints(axes)], { keepdims: 0 });
}

/** `value` [rows, ...] as [rows, count]. */
export function perRow(b: Builder, value: Value): Value {
  return value.shape?.length === 2 ? value : b.op('Reshape', [value, b.ints([0, -1])]);
}
