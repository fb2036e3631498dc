import { isFloat } from '../graph/dtype.ts';
import { renameOperands } from '../graph/capture.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';

/** A graph without Constant nodes and without Identity nodes that only rename. */
export interface Folded {
  readonly graph: Graph;
  /** Initializers that the file gave as nodes: never weights. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Weights that the file stored once for several, by name, with the initializer they were merged into. */
  readonly copies: ReadonlyMap<string, string>;
}

/**
 * Takes constants out of the nodes and undoes what exporters do to save space: PyTorch's merges
 * initializers that are equal at export and feeds the others through Identity nodes that bear their
 * names. Such a node becomes a weight of its own again, so that training does not tie them
 * (training.md, fact 4).
 */
export function fold(graph: Graph): Folded {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const constants = new Map<string, Tensor>();
  const initializers = new Map(graph.initializers);
  const copies = new Map<string, string>();
  const renamed = new Map<string, string>();
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    const renamedNode = renameOperands(node, renamed);
    const { inputs } = renamedNode;
    const [source = ''] = inputs;
    const [target = ''] = node.outputs;
    const constant = node.domain === '' && node.op === 'Constant' ? constantOf(node) : undefined;
    const isIdentity = node.domain === '' && node.op === 'Identity';
    if (constant !== undefined) {
      constants.set(target, constant);
    } else if (
      isIdentity &&
      initializers.has(source) &&
      isWeightName(target, initializers.get(source)!)
    ) {
      initializers.set(target, initializers.get(source)!);
      copies.set(target, source);
    } else if (isIdentity && !outputs.has(target)) {
      renamed.set(target, source);
    } else {
      nodes.push(renamedNode);
    }
  }
  return { graph: { ...graph, initializers, nodes }, constants, copies };
}

/** `layer1.weight` is a weight's name; `/layer1/Gemm_output_0` and `onnx::Mul_12` are not. */
function isWeightName(name: string, tensor: Tensor): boolean {
  return isFloat(tensor.dtype) && name.includes('.') && !name.includes('/') && !name.includes('::');
}

function constantOf(node: Node): Tensor | undefined {
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
