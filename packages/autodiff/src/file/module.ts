import type { Graph, Node } from '../graph/graph.ts';

/** Tells which module of the code a node belongs to; undefined where its name does not say. */
export type ModuleOf = (node: Pick<Node, 'name'>) => string | undefined;

/**
 * Modules by the names that PyTorch's TorchScript exporter gives nodes: `/encoder/layers.0/norm/Add` is
 * of `encoder.layers.0.norm`, and so is `/encoder/layers.0/norm_1/Add`, its second call.
 */
export function modulesOf(graph: Pick<Graph, 'nodes' | 'initializers'>): ModuleOf {
  const owners = new Set(
    [...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)].map(ownerOf),
  );
  const paths = new Set(graph.nodes.map(({ name }) => pathOf(name)));
  return ({ name }) => {
    const path = pathOf(name);
    if (path === undefined || owners.has(path)) return path;
    // A module may itself be called `norm_1`: only a `norm` that exists can have been called again.
    const again = path.replace(/_\d+$/, '');
    return owners.has(again) || paths.has(again) ? again : path;
  };
}

/** The module that a weight belongs to by its name. */
function ownerOf(weight: string): string {
  return weight.slice(0, Math.max(0, weight.lastIndexOf('.')));
}

function pathOf(name: string): string | undefined {
  if (!name.startsWith('/')) return undefined;
  const path: string[] = [];
  for (const part of name.split('/').slice(1, -1)) {
    // A Sequential's parts bear its name once more: `/net/net.0/Gemm`.
    const before = path.at(-1)?.replace(/_\d+$/, '');
    if (before !== undefined && part.startsWith(`${before}.`)) path.pop();
    path.push(part);
  }
  return path.join('.');
}
