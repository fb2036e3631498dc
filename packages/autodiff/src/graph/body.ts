import type { Builder } from './builder.ts';
import { intOf, intsOf, type Graph, type Node, type Value } from './graph.ts';
import type { Inferred, Maybe } from './infer.ts';
import type { Placed } from './place.ts';
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

/** Types of the arguments of a subgraph for the operands `inputs` of its node. */
export function argumentTypes(
  node: Node,
  graph: Graph,
  inputs: readonly Maybe[],
): readonly Inferred[] {
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

/** A shape before and after a step of a Loop: sizes that differ have names of their own. */
export function agreeing(
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
export function withoutConstants(graph: Graph): {
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
