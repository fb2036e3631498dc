import { subgraphsOf } from '../../graph/capture.ts';
import { attributes, intOf, type Attribute, type Graph, type Node } from '../../graph/graph.ts';

const RECURRENT: ReadonlySet<string> = new Set(['RNN', 'GRU', 'LSTM']);

/**
 * The graph with every recurrent node in the layout [steps, batch, …]: the runtime has no kernel for
 * the other one (layout = 1), so Transpose nodes stand around it instead.
 */
export function stepsFirst(graph: Graph): Graph {
  const taken = new Set(graph.nodes.flatMap(({ outputs }) => outputs));
  const nodes = graph.nodes.flatMap((node) => {
    const inner = subgraphsOf(node);
    if (inner.length > 0) return [withInner(node)];
    const isOther = RECURRENT.has(node.op) && node.domain === '' && intOf(node, 'layout', 0) === 1;
    return isOther ? turned(node, taken) : [node];
  });
  return { ...graph, nodes };
}

function withInner(node: Node): Node {
  const entries = [...node.attributes].map(([name, attribute]): readonly [string, Attribute] => [
    name,
    attribute.kind === 'graph' ? { ...attribute, value: stepsFirst(attribute.value) } : attribute,
  ]);
  return { ...node, attributes: new Map(entries) };
}

function turned(node: Node, taken: Set<string>): readonly Node[] {
  const fresh = (wish: string): string => {
    let name = `${wish}/turned`;
    for (let i = 2; taken.has(name); i++) name = `${wish}/turned.${i}`;
    taken.add(name);
    return name;
  };
  const before: Node[] = [];
  const after: Node[] = [];
  // The sequence and the first states; weights, biases and lengths have no batch axis to move.
  const inputs = node.inputs.map((input, i) => {
    if (input === '' || ![0, 5, 6].includes(i)) return input;
    const name = fresh(`${node.outputs.join('+')}/${input}`);
    before.push(transpose(input, name, [1, 0, 2]));
    return name;
  });
  const outputs = node.outputs.map((output, i) => {
    if (output === '') return output;
    const name = fresh(output);
    after.push(transpose(name, output, i === 0 ? [2, 0, 1, 3] : [1, 0, 2]));
    return name;
  });
  const rest = new Map([...node.attributes].filter(([name]) => name !== 'layout'));
  return [...before, { ...node, inputs, outputs, attributes: rest }, ...after];
}

function transpose(input: string, output: string, perm: readonly number[]): Node {
  return {
    op: 'Transpose',
    domain: '',
    name: output,
    inputs: [input],
    outputs: [output],
    attributes: attributes({ perm }),
  };
}
