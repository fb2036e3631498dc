import type { Builder } from './graph/builder.ts';
import { operandsOf } from './graph/capture.ts';
import { dims, type Node, type Value } from './graph/graph.ts';
import type { Maybe } from './graph/infer.ts';
import type { Inner } from './graph/operator.ts';
import type { PlacedNode } from './graph/place.ts';
import { differentiableInputs, gradientPath } from './path.ts';
import { operatorOf } from './ops/registry.ts';

/**
 * Reverse-mode differentiation: writes into `b` the gradients of Σ ⟨seed, value⟩ over `seeds` with
 * respect to the values named in `sources`.
 *
 * `path` is what {@link gradientPath} gave for these values; its nodes are visited backwards, each
 * once, and what reaches a value on several ways adds up. A source without influence gets zeros.
 * (Griewank and Walther, Evaluating Derivatives, 2nd ed., section 3.2.)
 *
 * Nodes on the path may be changed where they stand: rules ask for further outputs, and fused
 * operators are written as nodes whose gradients are known.
 */
export function differentiate(
  b: Builder,
  path: readonly PlacedNode[],
  seeds: ReadonlyMap<string, Value>,
  sources: readonly Value[],
): readonly Value[] {
  const names = sources.map(({ name }) => name);
  const found = backward(b, b, path, seeds, names);
  return found.map((g, i) => g ?? zerosLike(b, sources[i]!));
}

/** The same for nodes that stand in `forward`, a graph that the one of `b` can see or gets stashed. */
const backward: Inner['differentiate'] = (b, forward, path, seeds, sources) => {
  const lowered = lower(forward, path, sources);
  const moving = new Set(sources);
  for (const { node } of lowered) for (const output of node.outputs) moving.add(output);
  const gradients = new Map<string, Value>(seeds);
  for (const { node } of [...lowered].reverse()) {
    const dY = node.outputs.map((output) => gradients.get(output));
    if (dY.every((g) => g === undefined)) continue;
    for (const [name, g] of inputGradients(b, forward, node, dY, moving)) {
      const before = gradients.get(name);
      gradients.set(name, before === undefined ? g : b.op('Add', [before, g]));
    }
  }
  return sources.map((source) => gradients.get(source));
};

const INNER: Inner = { path: gradientPath, differentiate: backward };

/** The path with fused operators written as nodes that have gradients. */
function lower(
  forward: Builder,
  path: readonly PlacedNode[],
  sources: readonly string[],
): readonly PlacedNode[] {
  const moving = new Set(sources);
  return path.flatMap((entry) => {
    const { node, source } = entry;
    const write = operatorOf(node)?.lower;
    const targets = node.outputs.filter((name) => name !== '');
    const nodes =
      write === undefined
        ? undefined
        : forward.replace(node, () => write(contextOf(forward, node)));
    const written = nodes?.map((made) => ({ node: made, source }));
    const lowered =
      written === undefined ? [entry] : gradientPath(forward, { nodes: written }, moving, targets);
    for (const name of targets) moving.add(name);
    return lowered;
  });
}

const contextOf = (b: Builder, node: Node) => ({
  b,
  op: node.op,
  attributes: node.attributes,
  inputs: node.inputs.map((name) => b.value(name)),
  outputCount: node.outputs.length,
  wants: node.outputs.map((name) => name !== ''),
  fresh: b.fresh,
});

function inputGradients(
  b: Builder,
  forward: Builder,
  node: Node,
  dY: readonly Maybe[],
  moving: ReadonlySet<string>,
): readonly (readonly [string, Value])[] {
  const rule = operatorOf(node)?.gradient;
  if (rule === undefined || rule === 'stop') return [];
  const open = new Set(differentiableInputs(node));
  const operands = operandsOf(node);
  const found = rule(
    {
      b,
      forward,
      node,
      op: node.op,
      attributes: node.attributes,
      inputs: operands.map((name) => forward.value(name)),
      outputs: node.outputs.map((name) => forward.value(name)!),
      needs: operands.map((name) => open.has(name) && moving.has(name)),
      demand: (index, dtype, shape) => {
        while (node.outputs.length <= index) node.outputs.push('');
        if (node.outputs[index] === '')
          node.outputs[index] = b.unique(`${node.name}.output${index}`);
        return forward.adopt({ name: node.outputs[index]!, dtype, shape });
      },
      inner: INNER,
    },
    dY,
  );
  return operands.flatMap((name, i) => {
    const g = found[i];
    return g !== undefined && open.has(name) && moving.has(name) ? [[name, g] as const] : [];
  });
}

function zerosLike(b: Builder, value: Value): Value {
  const zeros = b.op('Expand', [b.scalar(0, value), b.shapeOf(value)]);
  return b.adopt({ ...zeros, shape: dims(value) });
}
