import { isMedleyError, MedleyError } from '@medley/kit';
import { placeBranches, placeBody } from './body.ts';
import type { Builder } from './builder.ts';
import { subgraphsOf } from './capture.ts';
import { constantOf, type Attribute, type Graph, type Node, type Value } from './graph.ts';
import type { Maybe } from './infer.ts';
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
