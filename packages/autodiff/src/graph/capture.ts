import type { Attribute, Graph, Node } from './graph.ts';

/** The subgraphs of a node with their attribute names. */
export function subgraphsOf(node: Node): readonly (readonly [string, Graph])[] {
  return [...node.attributes].flatMap(([name, attribute]) =>
    attribute.kind === 'graph' ? [[name, attribute.value] as const] : [],
  );
}

/**
 * Names of outer values that the subgraphs of `node` use, each once, in order of first use. The file
 * does not list them among the node's inputs.
 */
export function capturesOf(node: Node): readonly string[] {
  const found = new Set<string>();
  for (const [, graph] of subgraphsOf(node)) for (const name of freeNames(graph)) found.add(name);
  return [...found];
}

/** Inputs of a node and outer values of its subgraphs; an input that is not given is ''. */
export function operandsOf(node: Node): readonly string[] {
  return hasSubgraph(node) ? [...node.inputs, ...capturesOf(node)] : node.inputs;
}

/** The node reading other values: `names` gives the new names of those that change. */
export function renameOperands(node: Node, names: ReadonlyMap<string, string>): Node {
  const inputs = node.inputs.map((name) => names.get(name) ?? name);
  if (!hasSubgraph(node)) return { ...node, inputs };
  const attributes = [...node.attributes].map(([name, attribute]): readonly [string, Attribute] => [
    name,
    attribute.kind === 'graph'
      ? { kind: 'graph', value: renameFree(attribute.value, names) }
      : attribute,
  ]);
  return { ...node, inputs, attributes: new Map(attributes) };
}

function hasSubgraph(node: Node): boolean {
  for (const attribute of node.attributes.values()) if (attribute.kind === 'graph') return true;
  return false;
}

function freeNames(graph: Graph): readonly string[] {
  const own = ownNames(graph);
  const used = [
    ...graph.nodes.flatMap((node) => operandsOf(node)),
    ...graph.outputs.map(({ name }) => name),
  ];
  return used.filter((name) => name !== '' && !own.has(name));
}

function ownNames(graph: Graph): ReadonlySet<string> {
  return new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
}

function renameFree(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const own = ownNames(graph);
  const open = new Map([...names].filter(([name]) => !own.has(name)));
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameOperands(node, open)),
    outputs: graph.outputs.map((output) => ({
      ...output,
      name: open.get(output.name) ?? output.name,
    })),
  };
}
