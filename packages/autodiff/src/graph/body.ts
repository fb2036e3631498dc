import { MedleyError } from '@medley/kit';
import type { Builder } from './builder.ts';
import { subgraphsOf } from './capture.ts';
import { intOf, intsOf, type Graph, type Node, type Value } from './graph.ts';
import type { Inferred, Maybe } from './infer.ts';
import { place, type Placed } from './place.ts';
import { axisOf, type Dim, type Shape } from './shape.ts';
import { floatTensor, intTensor, type Tensor } from './tensor.ts';

/** A subgraph written into a builder of its own. */
export interface Body {
  readonly b: Builder;
  readonly placed: Placed;
  /** The inputs as they are named now. */
  readonly inputs: readonly Value[];
  /** What the outputs of the subgraph stand for: values made in it, its inputs or outer ones. */
  readonly outputs: readonly Value[];
}

/** Writes the nodes of a subgraph into `b`; `inputs` stand for its inputs, `outer` is seen from it. */
export function placeBody(
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
export function openBody(
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

/** The subgraph written into `b`, with these outputs. */
export function closeBody(b: Builder, name: string, values: readonly Value[]): Graph {
  const made = new Set(b.nodes.flatMap(({ outputs }) => outputs));
  const outputs = values.map((value) => {
    // The runtime wants each output made by a node of the subgraph itself, and named once.
    const isOwn = made.delete(value.name);
    const output = isOwn ? value : b.named(value, `${value.name}.out`);
    return { ...output, dtype: value.dtype, shape: value.shape };
  });
  return b.graph(name, outputs);
}

/** The subgraphs of a node by attribute, written anew for the operands `inputs`. */
export function placeBranches(
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

function argumentTypes(node: Node, graph: Graph, inputs: readonly Maybe[]): readonly Inferred[] {
  const typeOf = (input: Maybe, shape = input?.shape): Inferred => ({ dtype: input?.dtype, shape });
  switch (node.op) {
    case 'Loop':
      return [
        { dtype: 'int64', shape: [] },
        { dtype: 'bool', shape: [] },
        ...inputs.slice(2).map((input) => typeOf(input)),
      ];
    case 'Scan': {
      const states = inputs.length - intOf(node, 'num_scan_inputs', 1);
      const axes = intsOf(node, 'scan_input_axes') ?? [];
      return inputs.map((input, i) =>
        i < states ? typeOf(input) : typeOf(input, without(input?.shape, axes[i - states] ?? 0)),
      );
    }
    default:
      return graph.inputs.map(({ dtype, shape }) => ({ dtype, shape }));
  }
}

function without(shape: Shape | undefined, axis: number): Shape | undefined {
  const at = axisOf(axis, shape?.length ?? 0);
  return shape?.filter((_, i) => i !== at);
}

function agreeing(
  before: Shape | undefined,
  after: Shape | undefined,
  fresh: () => string,
): Shape | undefined {
  if (before?.length !== after?.length || before === undefined) return undefined;
  const isSame = before.every((dim, i) => dim === after![i] || isOurs(dim));
  return isSame ? before : before.map((dim, i) => (dim === after![i] ? dim : fresh()));
}

const isOurs = (dim: Dim): boolean => typeof dim === 'string' && dim.startsWith('?');

/** Constant nodes of a subgraph as tensors. */
function withoutConstants(graph: Graph): {
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Tensor>;
} {
  const constants = new Map<string, Tensor>();
  const nodes = graph.nodes.filter((node) => {
    const tensor = node.op === 'Constant' && node.domain === '' ? tensorOf(node) : undefined;
    if (tensor !== undefined) constants.set(node.outputs[0]!, tensor);
    return tensor === undefined;
  });
  return { nodes, constants };
}

function tensorOf(node: Node): Tensor | undefined {
  const [entry] = node.attributes;
  const attribute = entry?.[1];
  switch (attribute?.kind) {
    case 'tensor':
      return attribute.value;
    case 'float':
      return floatTensor([], [attribute.value]);
    case 'floats':
      return floatTensor([attribute.value.length], attribute.value);
    case 'int':
      return intTensor([], [attribute.value]);
    case 'ints':
      return intTensor([attribute.value.length], attribute.value);
    default:
      return undefined;
  }
}
