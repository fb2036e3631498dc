import type { Builder } from './graph/builder.ts';
import { dims, type Node, type Value } from './graph/graph.ts';
import type { Maybe } from './graph/infer.ts';
import { differentiableInputs } from './path.ts';
import { operatorOf } from './ops/registry.ts';

/**
 * Reverse-mode differentiation: writes into `b` the gradients of Σ ⟨seed, value⟩ over `seeds` with
 * respect to the values named in `sources`.
 *
 * `path` is what {@link gradientPath} gave for these values; its nodes are visited backwards, each
 * once, and what reaches a value on several ways adds up. A source without influence gets zeros.
 * (Griewank and Walther, Evaluating Derivatives, 2nd ed., section 3.2.)
 */
export function differentiate(
  b: Builder,
  path: readonly { readonly node: Node }[],
  seeds: ReadonlyMap<string, Value>,
  sources: readonly Value[],
): readonly Value[] {
  const moving = new Set(sources.map((source) => source.name));
  for (const { node } of path) for (const output of node.outputs) moving.add(output);
  const gradients = new Map<string, Value>(seeds);
  for (const { node } of [...path].reverse()) {
    const dY = node.outputs.map((output) => gradients.get(output));
    if (dY.every((g) => g === undefined)) continue;
    for (const [name, g] of inputGradients(b, node, dY, moving)) {
      const before = gradients.get(name);
      gradients.set(name, before === undefined ? g : b.op('Add', [before, g]));
    }
  }
  return sources.map((source) => gradients.get(source.name) ?? zerosLike(b, source));
}

function inputGradients(
  b: Builder,
  node: Node,
  dY: readonly Maybe[],
  moving: ReadonlySet<string>,
): readonly (readonly [string, Value])[] {
  const rule = operatorOf(node)?.gradient;
  if (rule === undefined || rule === 'stop') return [];
  const open = new Set(differentiableInputs(node));
  const found = rule(
    {
      b,
      op: node.op,
      attributes: node.attributes,
      inputs: node.inputs.map((name) => b.values.get(name)),
      outputs: node.outputs.map((name) => b.values.get(name)!),
      needs: node.inputs.map((name) => open.has(name) && moving.has(name)),
      demand: (index, dtype, shape) => {
        while (node.outputs.length <= index) node.outputs.push('');
        if (node.outputs[index] === '')
          node.outputs[index] = b.unique(`${node.name}.output${index}`);
        return b.adopt({ name: node.outputs[index]!, dtype, shape });
      },
    },
    dY,
  );
  return node.inputs.flatMap((name, i) => {
    const g = found[i];
    return g !== undefined && open.has(name) && moving.has(name) ? [[name, g] as const] : [];
  });
}

function zerosLike(b: Builder, value: Value): Value {
  const zeros = b.op('Expand', [b.scalar(0, value), b.shapeOf(value)]);
  return b.adopt({ ...zeros, shape: dims(value) });
}
