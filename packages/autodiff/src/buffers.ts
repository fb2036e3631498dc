import type { Graph } from './graph/graph.ts';
import { operatorOf } from './ops/registry.ts';

/**
 * By initializer: the value that holds its content after the graph has run. Only what operators with
 * {@link Operator.buffers} read is among them; of several uses in a row the last counts.
 */
export function bufferUpdates(graph: Graph): ReadonlyMap<string, string> {
  const updates = new Map<string, string>();
  const roots = new Map<string, string>();
  for (const node of graph.nodes) {
    for (const [index, next] of Object.entries(operatorOf(node)?.buffers ?? {})) {
      const input = node.inputs[Number(index)] ?? '';
      const output = node.outputs[next] ?? '';
      const root = roots.get(input) ?? (graph.initializers.has(input) ? input : undefined);
      if (output === '' || root === undefined) continue;
      roots.set(output, root);
      updates.set(root, output);
    }
  }
  return updates;
}
