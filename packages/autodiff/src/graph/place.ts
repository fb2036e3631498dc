import { isMedleyError, MedleyError } from '@medley/kit';
import { agreeing, argumentTypes, closeBody, withoutConstants, type Body } from './body.ts';
import type { Builder } from './builder.ts';
import { subgraphsOf } from './capture.ts';
import { constantOf, type Attribute, type Graph, type Node, type Value } from './graph.ts';
import type { Inferred, Maybe } from './infer.ts';
import type { Tensor } from './tensor.ts';

/** A node as written, and as it stands in the model. */
export interface PlacedNode {
  readonly node: Node;
  readonly source: Node;
}

/** A forward graph written into a builder. */
export interface Placed {
  /** Values by their names in the model. */
  readonly values: ReadonlyMap<string, Value>;
  /** The nodes as written, and beside each its name in the model. */
  readonly nodes: readonly PlacedNode[];
}

/**
 * Writes the nodes of `graph` into `b`, with the names they have unless those are taken. `bound`
 * gives the values that stand for graph inputs, weights and values of graphs around; every other
 * initializer becomes a constant. Subgraphs are written anew, with names of their own; an If whose
 * condition is known becomes its branch.
 *
 * Throws MODEL_INVALID when operands do not fit together.
 */
export function place(
  b: Builder,
  graph: Graph,
  constants: ReadonlyMap<string, Tensor>,
  bound: ReadonlyMap<string, Value>,
): Placed {
  const values = new Map(bound);
  for (const [name, tensor] of [...graph.initializers, ...constants]) {
    if (!values.has(name)) values.set(name, b.constant(tensor, name));
  }
  const nodes = graph.nodes.flatMap((source) => placeNode(b, source, values, graph.hints));
  return { values, nodes };
}

function placeNode(
  b: Builder,
  source: Node,
  values: Map<string, Value>,
  hints: Graph['hints'],
): readonly PlacedNode[] {
  const inputs = source.inputs.map((name): Maybe => (name === '' ? undefined : values.get(name)));
  const taken =
    source.op === 'If' && source.domain === '' ? branchTaken(source, inputs) : undefined;
  if (taken !== undefined) return placeInline(b, source, taken, values);
  return guarded(source, () => {
    const attributes = placeSubgraphs(b, source, inputs, values);
    const outputs = source.outputs.map((name) => (name === '' ? '' : b.unique(name)));
    const names = inputs.map((input) => input?.name ?? '');
    // Named for its output, whose name is free: the model's own names of nodes may be taken by ours.
    const name = outputs.find((output) => output !== '') ?? source.name;
    const node: Node = { ...source, name, inputs: names, outputs, attributes };
    const made = b.emit(node, inputs).map((value) => hinted(b, value, hints));
    source.outputs.forEach((name, i) => name !== '' && values.set(name, made[i]!));
    return [{ node, source }];
  });
}

/** `value` with what the file says of it where nothing is known. */
function hinted(b: Builder, value: Value, hints: Graph['hints']): Value {
  const hint = value.shape === undefined ? hints?.get(value.name) : undefined;
  if (hint?.shape === undefined) return value;
  return b.adopt({ ...value, dtype: value.dtype ?? hint.dtype, shape: hint.shape });
}

function branchTaken(source: Node, [condition]: readonly Maybe[]): Graph | undefined {
  const known = constantOf(condition)?.[0];
  if (known === undefined) return undefined;
  const branch = source.attributes.get(known === 0 ? 'else_branch' : 'then_branch');
  return branch?.kind === 'graph' ? branch.value : undefined;
}

function placeInline(
  b: Builder,
  source: Node,
  branch: Graph,
  values: Map<string, Value>,
): readonly PlacedNode[] {
  const placed = placeBody(b, branch, [], values);
  branch.outputs.forEach(({ name }, i) => {
    const output = source.outputs[i];
    const value = placed.values.get(name);
    if (output !== undefined && output !== '' && value !== undefined) values.set(output, value);
  });
  return placed.nodes;
}

function placeSubgraphs(
  b: Builder,
  source: Node,
  inputs: readonly Maybe[],
  values: ReadonlyMap<string, Value>,
): Node['attributes'] {
  const graphs = subgraphsOf(source);
  if (graphs.length === 0) return source.attributes;
  const placed = placeBranches(b, source, inputs, values);
  return new Map(
    [...source.attributes].map(([name, attribute]): readonly [string, Attribute] => {
      const graph = placed.get(name);
      return [name, graph === undefined ? attribute : { kind: 'graph', value: graph }];
    }),
  );
}

/** Writes the nodes of a subgraph into `b`; `inputs` stand for its inputs, `outer` is seen from it. */
function placeBody(
  b: Builder,
  graph: Graph,
  inputs: readonly Value[],
  outer: ReadonlyMap<string, Value>,
): Placed {
  const bound = new Map(outer);
  // Its own names hide outer ones.
  for (const name of graph.initializers.keys()) bound.delete(name);
  graph.inputs.forEach(({ name }, i) => bound.set(name, inputs[i]!));
  const { nodes, constants } = withoutConstants(graph);
  for (const name of constants.keys()) bound.delete(name);
  return place(b, { ...graph, nodes }, constants, bound);
}

/** A subgraph in a new builder inside `b`, with inputs of the given types. */
function openBody(
  b: Builder,
  graph: Graph,
  types: readonly Inferred[],
  outer: ReadonlyMap<string, Value>,
): Body {
  const inner = b.subgraph();
  const inputs = graph.inputs.map((input, i) => {
    const { dtype = input.dtype, shape = input.shape } = types[i] ?? {};
    return inner.argument(input.name, dtype, shape);
  });
  const placed = placeBody(inner, graph, inputs, outer);
  const outputs = graph.outputs.map((output): Value => {
    const value = placed.values.get(output.name);
    if (value === undefined)
      throw new MedleyError('MODEL_INVALID', `nothing makes the output "${output.name}"`);
    return { ...value, dtype: value.dtype ?? output.dtype, shape: value.shape ?? output.shape };
  });
  return { b: inner, placed, inputs, outputs };
}

/** The subgraphs of a node by attribute, written anew for the operands `inputs`. */
function placeBranches(
  b: Builder,
  node: Node,
  inputs: readonly Maybe[],
  outer: ReadonlyMap<string, Value>,
): ReadonlyMap<string, Graph> {
  const graphs = subgraphsOf(node).map(([name, graph]) => {
    const body = openSettled(b, node, graph, inputs, outer);
    return [name, closeBody(body.b, graph.name, body.outputs)] as const;
  });
  return new Map(graphs);
}

/** The body of a Scan or Loop, or a branch of an If, for the operands `inputs` of the node. */
export function openSettled(
  b: Builder,
  node: Node,
  graph: Graph,
  inputs: readonly Maybe[],
  outer: ReadonlyMap<string, Value>,
): Body {
  let types = argumentTypes(node, graph, inputs);
  // A state whose size changes from step to step has no known size; found in at most two rounds.
  for (let round = 0; node.op === 'Loop' && round < 2; round++) {
    const { outputs } = openBody(b, graph, types, outer);
    const settled = types.map((type, i): Inferred => {
      const next = i < 2 ? undefined : outputs[i - 1]?.shape;
      return i < 2 ? type : { ...type, shape: agreeing(type.shape, next, b.fresh) };
    });
    if (settled.every(({ shape }, i) => shape === types[i]!.shape)) break;
    types = settled;
  }
  return openBody(b, graph, types, outer);
}

function guarded<T>(node: Node, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const reason = isMedleyError(cause) ? cause.message : 'its attributes or inputs have no sense';
    throw new MedleyError('MODEL_INVALID', `node "${node.name}" (${node.op}): ${reason}`, {
      cause,
    });
  }
}
