import type { Body } from '../../graph/body.ts';
import type { Builder } from '../../graph/builder.ts';
import { operandsOf } from '../../graph/capture.ts';
import { dims, floatOf, intOf, type Node, type Value } from '../../graph/graph.ts';
import { sumTo } from '../broadcast.ts';

/**
 * A use of an outer weight in a body whose gradient is one product over all steps at once: instead of
 * adding up a matrix in every step, the step's factors are stacked and multiplied afterwards.
 */
export interface LateUse {
  readonly weight: Value;
  /** Result of the node in the body; its gradient is stacked over the steps. */
  readonly output: Value;
  /** The other factor, stacked likewise; none for an added weight. */
  readonly factor: Value | undefined;
  /** The weight's gradient from the stacks, both with the steps in front. */
  readonly gradient: (b: Builder, gradients: Value, factors: Value | undefined) => Value;
}

/** The weights among `weights` that the body uses in no other way, with all their uses. */
export function lateUses(
  body: Body,
  weights: readonly Value[],
): ReadonlyMap<string, readonly LateUse[]> {
  const found = new Map<string, readonly LateUse[]>();
  for (const weight of weights) {
    const users = body.b.nodes.filter((node) => operandsOf(node).includes(weight.name));
    const isResult = body.outputs.some(({ name }) => name === weight.name);
    const uses = users.map((node) => lateUse(body.b, node, weight));
    if (!isResult && uses.length > 0 && uses.every((use) => use !== undefined))
      found.set(weight.name, uses);
  }
  return found;
}

function lateUse(b: Builder, node: Node, weight: Value): LateUse | undefined {
  const places = node.inputs.flatMap((name, i) => (name === weight.name ? [i] : []));
  const [place] = places;
  const output = b.value(node.outputs[0]!);
  if (places.length !== 1 || place === undefined || output?.shape === undefined) return undefined;
  if (node.op === 'Add') return { weight, output, factor: undefined, gradient: added(weight) };
  const factor = place > 1 ? undefined : b.value(node.inputs[1 - place]!);
  const isMatrix = weight.shape?.length === 2 && factor?.shape !== undefined;
  if (!isMatrix || !b.values.has(factor.name)) return undefined;
  const gradient = productGradient(node, place, factor.shape.length);
  return gradient && { weight, output, factor, gradient };
}

/** The gradient of a weight at `place` in a product with a factor of this rank. */
function productGradient(node: Node, place: number, rank: number): LateUse['gradient'] | undefined {
  if (node.op === 'MatMul' && place === 1) return right(false, 1);
  if (node.op === 'MatMul' && rank === 2) return left;
  if (node.op === 'Gemm' && place === 1 && intOf(node, 'transA', 0) === 0)
    return right(intOf(node, 'transB', 0) === 1, floatOf(node, 'alpha', 1));
  return undefined;
}

const added =
  (weight: Value): LateUse['gradient'] =>
  (b, gradients) =>
    sumTo(b, gradients, weight);

/** Y = A·W with rows of A in all but its last axis. */
const right =
  (transposed: boolean, alpha: number): LateUse['gradient'] =>
  (b, gradients, factors) => {
    const rows = (value: Value): Value =>
      b.op('Flatten', [value], { axis: dims(value).length - 1 });
    const [a, g] = [rows(factors!), rows(gradients)];
    return b.op('Gemm', transposed ? [g, a] : [a, g], { transA: 1, alpha: { float: alpha } });
  };

/** Y = W·A with columns of A in its last axis. */
const left: LateUse['gradient'] = (b, gradients, factors) => {
  const columns = (value: Value): Value =>
    b.op('Flatten', [b.op('Transpose', [value], { perm: [1, 0, 2] })], { axis: 1 });
  return b.op('Gemm', [columns(gradients), columns(factors!)], { transB: 1 });
};
