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
    if (!isBatchNorm(node)) return mode === 'frozen' ? withInner(node, frozenInside) : node;
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

/** The graph with every BatchNormalization by its statistics, those of subgraphs too. */
function frozenInside(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) =>
    isBatchNorm(node) ? inferring(node) : withInner(node, frozenInside),
  );
  return { ...graph, nodes };
}

/** The node with its subgraphs changed. */
function withInner(node: Node, change: (graph: Graph) => Graph): Node {
  if ([...node.attributes.values()].every(({ kind }) => kind !== 'graph')) return node;
  const changed = [...node.attributes].map(
    ([name, attribute]) =>
      [
        name,
        attribute.kind === 'graph' ? { ...attribute, value: change(attribute.value) } : attribute,
      ] as const,
  );
  return { ...node, attributes: new Map(changed) };
}

/** The graph as it is used after training: BatchNormalization by its statistics, no Dropout. */
export function inferenceForm(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    if (isBatchNorm(node)) return inferring(node);
    if (node.op === 'Dropout' && node.domain === '')
      return { ...node, inputs: node.inputs.slice(0, 2) };
    return withInner(node, inferenceForm);
  });
  return { ...graph, nodes };
}

/**
 * The graph with the running statistics of every training BatchNormalization written out:
 * m·v + (1 − m)·s for each, where s is the batch's mean or variance. With momentum 0 on statistics of
 * zeros the kernel gives s itself, which the gradient needs too and need not compute again.
 */
export function trainingForm(graph: Graph, variance: RunningVariance): Graph {
  const free = freeName(graph);
  const constants = new Map<string, Tensor>();
  const nodes = graph.nodes.flatMap((node) => {
    const [x, , , mean, spread] = node.inputs;
    if (!isBatchNorm(node) || !isTraining(node) || x === undefined) return [node];
    const made: Node[] = [];
    const writer: Writer = {
      op: (type, inputs, output = free(`${node.outputs[0]!}/${type}`)) => {
        made.push(plain(type, inputs, output));
        return output;
      },
      constant: (tensor) => {
        const name = free(`${node.outputs[0]!}/constant`);
        constants.set(name, tensor);
        return name;
      },
    };
    // One tensor of zeros for each: the kernel writes its results over its inputs.
    const zeros = [mean!, spread!].map((name) => writer.op('Sub', [name, name]));
    const batch = node.outputs
      .slice(0, 3)
      .map((name, i) => (i === 0 ? name : free(`${name}/batch`)));
    const kernel: Node = {
      ...node,
      inputs: [...node.inputs.slice(0, 3), ...zeros],
      outputs: batch,
      attributes: new Map([...node.attributes, ['momentum', { kind: 'float', value: 0 }]]),
    };
    const before = made.splice(0);
    const running = { writer, momentum: floatOf(node, 'momentum', 0.9) };
    runOn(running, mean!, batch[1]!, node.outputs[1]!);
    const found = variance === 'torch' ? unbiased(writer, batch[2]!, x, spread!) : batch[2]!;
    runOn(running, spread!, found, node.outputs[2]!);
    return [...before, kernel, ...made];
  });
  return { ...graph, nodes, initializers: new Map([...graph.initializers, ...constants]) };
}

/** Writes nodes beside one that is replaced. */
interface Writer {
  /** Writes a node with one output and returns its name. */
  readonly op: (type: string, inputs: readonly string[], output?: string) => string;
  readonly constant: (tensor: Tensor) => string;
}

/** `after` = m·before + (1 − m)·batch. */
function runOn(
  { writer: { op, constant }, momentum }: { readonly writer: Writer; readonly momentum: number },
  before: string,
  batch: string,
  after: string,
): void {
  const kept = op('Mul', [before, constant(floatTensor([], [momentum]))]);
  op('Add', [kept, op('Mul', [batch, constant(floatTensor([], [1 - momentum]))])], after);
}

/** The variance s² of n elements as s²·n / (n − 1); that of one element stays 0. */
function unbiased({ op, constant }: Writer, variance: string, x: string, like: string): string {
  const one = constant(intTensor([], [1]));
  const count = op('Div', [op('Size', [x]), op('Size', [like])]);
  const rest = op('CastLike', [op('Max', [op('Sub', [count, one]), one]), variance]);
  return op('Add', [variance, op('Div', [variance, rest])]);
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
