import type { Builder } from '../../graph/builder.ts';
import { operandsOf, renameOperands } from '../../graph/capture.ts';
import type { Graph } from '../../graph/graph.ts';

/**
 * Moves the nodes of the body `inner` that are the same in every step to `outer`, before the node
 * that holds the body; `isOuter` says which names are values around the body.
 */
export function moveInvariant(
  inner: Builder,
  outer: Builder,
  isOuter: (name: string) => boolean,
): void {
  const moved = new Map<string, string>();
  const isConstant = (name: string): boolean => inner.initializers.has(name);
  for (const node of [...inner.nodes]) {
    const operands = operandsOf(node).filter((name) => name !== '');
    const isFixed = operands.every((name) => isOuter(name) || moved.has(name) || isConstant(name));
    const isWork = operands.some((name) => !isConstant(name));
    if (!isFixed || !isWork || RANDOM.has(node.op)) continue;
    for (const name of operands) {
      if (!isConstant(name) || moved.has(name)) continue;
      moved.set(name, outer.constant(inner.initializers.get(name)!).name);
    }
    inner.nodes.splice(inner.nodes.indexOf(node), 1);
    outer.nodes.push(renameOperands(node, moved));
    for (const name of node.outputs) {
      const value = inner.value(name);
      if (value === undefined) continue;
      outer.adopt(value);
      moved.set(name, name);
    }
  }
}

const RANDOM: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
  'Dropout',
]);

/** The graph without constants that no node of it uses. */
export function withoutIdle(graph: Graph): Graph {
  const used = new Set(graph.nodes.flatMap((node) => operandsOf(node)));
  const initializers = new Map([...graph.initializers].filter(([name]) => used.has(name)));
  return { ...graph, initializers };
}
