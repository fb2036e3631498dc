import { attributes, floatOf, intOf, type Graph, type Node } from './graph.ts';
import { floatTensor, intTensor, type Tensor } from './tensor.ts';

/**
 * What BatchNormalization does in training: `train` normalises by the batch and keeps running
 * statistics, `frozen` normalises by the statistics of the file, `asExported` does what each node says.
 */
export type BatchNormMode = 'train' | 'frozen' | 'asExported';

/**
 * How the batch's variance enters the running one: `torch` divides by n − 1 as PyTorch does, `onnx` by
 * n as the operator's definition says.
 */
export type RunningVariance = 'torch' | 'onnx';

const isBatchNorm = (node: Node): boolean => node.op === 'BatchNormalization' && node.domain === '';
const isTraining = (node: Node): boolean => intOf(node, 'training_mode', 0) === 1;

/** The graph with every BatchNormalization in the form that `mode` asks for. */
export function batchNormAs(graph: Graph, mode: BatchNormMode): Graph {
  const free = freeName(graph);
  const latest = new Map<string, string>();
  const nodes = graph.nodes.map((node) => {
    if (!isBatchNorm(node)) return node;
    const trains =
      mode === 'asExported' ? isTraining(node) : mode === 'train' && hasStatistics(graph, node);
    if (!trains) return inferring(node);
    // Statistics of a layer that is used several times pass from one use to the next.
    const inputs = node.inputs.map((name, i) => (i < 3 ? name : (latest.get(name) ?? name)));
    const outputs = [0, 1, 2].map((i) => node.outputs[i] || free(`${node.outputs[0]!}/next${i}`));
    latest.set(node.inputs[3]!, outputs[1]!).set(node.inputs[4]!, outputs[2]!);
    return { ...node, inputs, outputs, attributes: with1(node, 'training_mode') };
  });
  return { ...graph, nodes };
}

/** The graph as it is used after training: BatchNormalization by its statistics, no Dropout. */
export function inferenceForm(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    if (isBatchNorm(node)) return inferring(node);
    if (node.op === 'Dropout' && node.domain === '')
      return { ...node, inputs: node.inputs.slice(0, 2) };
    const subgraphs = [...node.attributes].map(
      ([name, attribute]) =>
        [
          name,
          attribute.kind === 'graph'
            ? { ...attribute, value: inferenceForm(attribute.value) }
            : attribute,
        ] as const,
    );
    return { ...node, attributes: new Map(subgraphs) };
  });
  return { ...graph, nodes };
}

/**
 * Rescales the batch's part of each running variance by n / (n − 1). The kernel gives
 * v′ = m·v + (1 − m)·s² with the population variance s² of the n elements of a channel; written is
 * v′ + (v′ − m·v) / (n − 1). With n = 1 the population variance, 0, is kept.
 */
export function unbiasedVariance(graph: Graph): Graph {
  const free = freeName(graph);
  const constants = new Map<string, Tensor>();
  const nodes = graph.nodes.flatMap((node) => {
    const before = node.inputs[4];
    const after = node.outputs[2];
    if (!isBatchNorm(node) || before === undefined || !after) return [node];
    const made: Node[] = [];
    const op = (type: string, inputs: readonly string[], output = free(`${after}/${type}`)) => {
      made.push(plain(type, inputs, output));
      return output;
    };
    const constant = (tensor: Tensor): string => {
      const name = free(`${after}/constant`);
      constants.set(name, tensor);
      return name;
    };
    const one = constant(intTensor([], [1]));
    const biased = free(`${after}/population`);
    const count = op('Div', [op('Size', [node.inputs[0]!]), op('Size', [before])]);
    const rest = op('CastLike', [op('Max', [op('Sub', [count, one]), one]), biased]);
    const kept = op('Mul', [before, constant(floatTensor([], [floatOf(node, 'momentum', 0.9)]))]);
    const share = op('Div', [op('Sub', [biased, kept]), rest]);
    op('Add', [biased, share], after);
    const outputs = [node.outputs[0]!, node.outputs[1]!, biased];
    return [{ ...node, outputs }, ...made];
  });
  return { ...graph, nodes, initializers: new Map([...graph.initializers, ...constants]) };
}

function inferring(node: Node): Node {
  const rest = [...node.attributes].filter(([name]) => name !== 'training_mode');
  return { ...node, outputs: node.outputs.slice(0, 1), attributes: new Map(rest) };
}

function hasStatistics({ initializers }: Graph, node: Node): boolean {
  return node.inputs.length === 5 && node.inputs.slice(3).every((name) => initializers.has(name));
}

function with1(node: Node, name: string): Node['attributes'] {
  return new Map([...node.attributes, [name, { kind: 'int', value: 1 }]]);
}

function plain(op: string, inputs: readonly string[], output: string): Node {
  return { op, domain: '', name: output, inputs, outputs: [output], attributes: attributes({}) };
}

function freeName(graph: Graph): (wish: string) => string {
  const taken = new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  return (wish) => {
    let name = wish;
    for (let i = 2; taken.has(name); i++) name = `${wish}.${i}`;
    taken.add(name);
    return name;
  };
}
