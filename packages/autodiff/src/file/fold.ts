import { renameOperands } from '../graph/capture.ts';
import { isFloat } from '../graph/dtype.ts';
import type { Attribute, Graph, Node } from '../graph/graph.ts';
import type { Infer } from '../graph/infer.ts';
import { floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';
import { evaluate } from './evaluate.ts';
import { Scope } from './upgrade/scope.ts';

/** A graph without nodes that are constant and without Identity nodes that only rename. */
export interface Folded {
  readonly graph: Graph;
  /** What the file gave as nodes, and what follows from that: never weights. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Weights that the file stored once for several, by name, with the initializer they were merged into. */
  readonly copies: ReadonlyMap<string, string>;
}

/**
 * Takes constants out of the nodes: Constant itself, the arithmetic of shapes whose result is known, and
 * small computations on constants. Weights are never folded: a float initializer is no constant.
 *
 * Undoes what exporters do to save space: PyTorch's merges initializers that are equal at export and
 * feeds the others through Identity nodes that bear their names. Such a node becomes a weight of its
 * own again, so that training does not tie them: `isWeight` tells such names.
 */
export function fold(graph: Graph, infer: Infer, isWeight = weightNames('')): Folded {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const constants = new Map<string, Tensor>();
  const initializers = new Map(graph.initializers);
  const copies = new Map<string, string>();
  const renamed = new Map<string, string>();
  const scope = new Scope(infer).inner(graph);
  const constantAt = (name: string): Tensor | undefined => {
    const given = initializers.get(name);
    return given !== undefined && !isFloat(given.dtype) ? given : constants.get(name);
  };
  for (const source of graph.nodes) {
    const node = withInner(renameOperands(source, renamed));
    const [from = ''] = node.inputs;
    const [target = ''] = node.outputs;
    const isIdentity = node.domain === '' && node.op === 'Identity';
    const weight = isIdentity ? initializers.get(from) : undefined;
    const constant =
      constantOf(node) ?? (outputs.has(target) ? undefined : computed(node, constantAt));
    if (constant !== undefined) {
      constants.set(target, constant);
      scope.constant(target, constant);
    } else if (weight !== undefined && isFloat(weight.dtype) && isWeight(target)) {
      initializers.set(target, weight);
      copies.set(target, from);
      scope.constant(target, weight);
    } else if (isIdentity && !outputs.has(target)) {
      renamed.set(target, from);
    } else {
      scope.emit(node);
      const known = outputs.has(target) ? undefined : knownContent(scope, node);
      if (known === undefined) continue;
      scope.nodes.pop();
      constants.set(target, known);
      scope.constant(target, known);
    }
  }
  return { graph: { ...graph, initializers, nodes: scope.nodes }, constants, copies };
}

/**
 * Tells names of weights: `layer1.weight` is one, `/layer1/Gemm_output_0` and `onnx::Mul_12` are not.
 * PyTorch's weights may also have names without a dot, as only its own intermediate values have none.
 */
export function weightNames(producer: string): (name: string) => boolean {
  const pattern = producer === 'pytorch' ? /^(?!val_\d+$)[a-z_]\w*(\.\w+)*$/i : /^[^/:]*\.[^/:]*$/;
  return (name) => pattern.test(name);
}

function computed(
  node: Node,
  constantAt: (name: string) => Tensor | undefined,
): Tensor | undefined {
  if (node.domain !== '' || node.outputs.length !== 1 || node.inputs.length === 0) return undefined;
  const inputs: Tensor[] = [];
  for (const name of node.inputs) {
    const tensor = constantAt(name);
    if (tensor === undefined) return undefined;
    inputs.push(tensor);
  }
  return evaluate(node, inputs);
}

/** Sizes that are known although the value they are of is not constant. */
function knownContent(scope: Scope, { outputs }: Node): Tensor | undefined {
  if (outputs.length !== 1) return undefined;
  const value = scope.value(outputs[0]!);
  if (value?.dtype !== 'int64' || value.content === undefined) return undefined;
  const content = value.content.filter((dim) => typeof dim === 'number');
  const { shape } = value;
  const isWhole = content.length === value.content.length && content.every(Number.isSafeInteger);
  if (!isWhole || shape === undefined || shape.length > 1) return undefined;
  if (shape.length === 1 ? shape[0] !== content.length : content.length !== 1) return undefined;
  return intTensor(shape.length === 1 ? [content.length] : [], content);
}

/** Constant nodes of subgraphs become their initializers. */
function withInner(node: Node): Node {
  if ([...node.attributes.values()].every(({ kind }) => kind !== 'graph')) return node;
  const attributes = [...node.attributes].map(([name, attribute]): readonly [string, Attribute] =>
    attribute.kind === 'graph'
      ? [name, { kind: 'graph', value: innerFolded(attribute.value) }]
      : [name, attribute],
  );
  return { ...node, attributes: new Map(attributes) };
}

function innerFolded(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node) => {
    const constant = constantOf(node);
    if (constant === undefined) return [withInner(node)];
    initializers.set(node.outputs[0] ?? '', constant);
    return [];
  });
  return { ...graph, initializers, nodes };
}

function constantOf(node: Node): Tensor | undefined {
  if (node.op !== 'Constant' || node.domain !== '') return undefined;
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
