import { MedleyError } from '@medley/kit';
import {
  attributes,
  floatOf,
  intsOf,
  stringOf,
  type Attribute,
  type Graph,
  type Node,
} from '../graph/graph.ts';
import { floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';

/** Oldest operator set read without a converter; below it too many operators mean something else. */
export const OLDEST_OPSET = 13;
/** Newest operator set whose additions were looked at. */
export const NEWEST_OPSET = 26;

/** What a rule may use to write the nodes that replace one node. */
interface Rewrite {
  readonly node: Node;
  /** A new constant; returns its name. */
  readonly constant: (tensor: Tensor) => string;
  /** A node whose single output gets a new name, which is returned. */
  readonly op: (op: string, inputs: readonly string[]) => string;
  /** The same node with other parts; the last node a rule writes. */
  readonly finish: (changes: Partial<Pick<Node, 'op' | 'inputs' | 'attributes'>>) => void;
}

type Rule = (r: Rewrite) => void;

/** Before 13 or 18 the axes were an attribute; now they are the second input. */
const axesToInput: Rule = ({ node, constant, finish }) => {
  const axes = intsOf(node, 'axes');
  if (axes === undefined) {
    finish({});
    return;
  }
  finish({
    inputs: [node.inputs[0] ?? '', constant(intTensor([axes.length], axes))],
    attributes: without(node, 'axes'),
  });
};

/** Operator set 18 wants to know how many equal parts are meant. */
const splitCount: Rule = ({ node, finish }) => {
  const isEqual = (node.inputs[1] ?? '') === '' && !node.attributes.has('num_outputs');
  const count: Attribute = { kind: 'int', value: node.outputs.length };
  finish(isEqual ? { attributes: new Map([...node.attributes, ['num_outputs', count]]) } : {});
};

/** Attributes that came after 18 and say nothing about the types we run. */
const dropNewer =
  (...names: readonly string[]): Rule =>
  ({ node, finish }) =>
    finish({ attributes: without(node, ...names) });

// Gelu of operator set 20, by its definition: x·Φ(x), or the tanh approximation.
const gelu: Rule = ({ node, constant, op, finish }) => {
  const x = node.inputs[0] ?? '';
  const number = (value: number): string => constant(floatTensor([], [value]));
  const isTanh = stringOf(node, 'approximate', 'none') === 'tanh';
  const cubic = (): string => op('Mul', [op('Mul', [x, x]), op('Mul', [x, number(0.044715)])]);
  const inner = isTanh
    ? op('Tanh', [op('Mul', [op('Add', [x, cubic()]), number(Math.sqrt(2 / Math.PI))])])
    : op('Erf', [op('Mul', [x, number(Math.SQRT1_2)])]);
  const half = op('Mul', [x, number(0.5)]);
  finish({ op: 'Mul', inputs: [half, op('Add', [inner, number(1)])], attributes: new Map() });
};

// Swish of operator set 24: x·sigmoid(αx).
const swish: Rule = ({ node, constant, op, finish }) => {
  const x = node.inputs[0] ?? '';
  const alpha = floatOf(node, 'alpha', 1);
  const scaled = alpha === 1 ? x : op('Mul', [x, constant(floatTensor([], [alpha]))]);
  finish({ op: 'Mul', inputs: [x, op('Sigmoid', [scaled])], attributes: new Map() });
};

const REDUCTIONS = [
  'Sum',
  'Mean',
  'Max',
  'Min',
  'Prod',
  'L1',
  'L2',
  'SumSquare',
  'LogSum',
  'LogSumExp',
];

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, axesToInput])),
  Squeeze: axesToInput,
  Unsqueeze: axesToInput,
  Split: splitCount,
  Cast: dropNewer('saturate', 'round_mode'),
  Gelu: gelu,
  Swish: swish,
};

/**
 * The graph at operator set 18, with nodes rewritten whose form changed on the way there.
 * Throws MODEL_UNSUPPORTED_OPSET outside 13 to 26.
 */
export function upgrade(graph: Graph, opset: number): Graph {
  if (opset < OLDEST_OPSET || opset > NEWEST_OPSET) {
    throw new MedleyError(
      'MODEL_UNSUPPORTED_OPSET',
      `the model uses operator set ${opset}; ${OLDEST_OPSET} to ${NEWEST_OPSET} are read`,
    );
  }
  const nodes: Node[] = [];
  const taken = namesOf(graph);
  const fresh = (wish: string): string => {
    let name = wish;
    for (let i = 2; taken.has(name); i++) name = `${wish}.${i}`;
    taken.add(name);
    return name;
  };
  for (const node of graph.nodes) {
    const rule = node.domain === '' ? RULES[node.op] : undefined;
    if (rule === undefined) {
      nodes.push(node);
      continue;
    }
    rule({
      node,
      constant: (tensor) => {
        const name = fresh(`${node.name}/constant`);
        nodes.push({
          op: 'Constant',
          domain: '',
          name,
          inputs: [],
          outputs: [name],
          attributes: attributes({ value: tensor }),
        });
        return name;
      },
      op: (op, inputs) => {
        const name = fresh(`${node.name}/${op}`);
        nodes.push({ op, domain: '', name, inputs, outputs: [name], attributes: new Map() });
        return name;
      },
      finish: (changes) => void nodes.push({ ...node, ...changes }),
    });
  }
  return { ...graph, nodes };
}

function without(node: Node, ...names: readonly string[]): Node['attributes'] {
  return new Map([...node.attributes].filter(([name]) => !names.includes(name)));
}

function namesOf(graph: Graph): Set<string> {
  const names = graph.nodes.flatMap((node) => node.outputs);
  return new Set([
    ...graph.initializers.keys(),
    ...graph.inputs.map((input) => input.name),
    ...names,
  ]);
}
