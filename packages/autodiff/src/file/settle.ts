import { isFloat } from '../graph/dtype.ts';
import { attributes, intOf, type Graph, type Node } from '../graph/graph.ts';
import { elementCount, floatsOf, floatTensor, type Tensor } from '../graph/tensor.ts';
import { parametersIn, type Origins } from './origin.ts';
import { outputOf, type Unshared } from './unshare.ts';

/** A graph whose weights are those of the code. */
export interface Settled extends Unshared {
  /** Tensors of the file that are another one of it transposed, with that one's name. */
  readonly tied: ReadonlyMap<string, string>;
  /** Weights that the file left out. */
  readonly restored: ReadonlyMap<string, Tensor>;
}

/** Names that exporters make for tensors of their own. */
const MACHINE_NAME = /^(val_\d+|onnx::\w+_\d+)$/;

/**
 * Puts right what PyTorch's optimizer of graphs makes of weights: a tensor that was made of no parameter
 * (an attention mask, a scale, a table) is a constant; one that is only a parameter laid out anew, while
 * the parameter itself is in the file as well, follows that parameter; and a bias that was left out because
 * it is 0 at export is there again.
 */
export function settle(apart: Unshared, origins: Origins | undefined): Settled {
  const made = fixed(apart.graph, origins);
  const initializers = new Map(apart.graph.initializers);
  for (const name of made.keys()) initializers.delete(name);
  const constants = new Map([...apart.constants, ...made]);
  const graph = { ...apart.graph, initializers };
  if (origins === undefined) {
    return { ...apart, graph, constants, tied: new Map(), restored: new Map() };
  }
  const { tied, graph: joined } = tie(graph, origins);
  const { restored, splits, graph: whole } = restore(joined, origins);
  const inputs = new Map([...apart.splits, ...merged(apart.splits, splits)]);
  return { ...apart, graph: whole, constants, tied, restored, splits: inputs };
}

type Splits = Unshared['splits'];

/** Nodes of `more`, with what was split off for them before. */
function merged(before: Splits, more: Splits): Splits {
  return new Map(
    [...more].map(([at, inputs]) => [at, new Map([...(before.get(at) ?? []), ...inputs])]),
  );
}

/** Float initializers that are no weights, whatever flows through them. */
function fixed(graph: Graph, origins: Origins | undefined): ReadonlyMap<string, Tensor> {
  const statistics = new Set(
    graph.nodes.flatMap(({ op, inputs }) => (op === 'BatchNormalization' ? inputs.slice(1) : [])),
  );
  // Equal tensors are stored once: where the code names a parameter, a constant's name may hide it.
  const besideParameters = new Set(
    graph.nodes.flatMap(({ call, inputs }) => (call?.parameters.length ? inputs : [])),
  );
  const isFixed = (name: string, tensor: Tensor): boolean => {
    if (!isFloat(tensor.dtype) || statistics.has(name)) return false;
    if (MACHINE_NAME.test(name) && isMask(tensor)) return true;
    const isTold = origins !== undefined && parametersIn(origins, name).length === 0;
    return isTold && isNamedIn(origins, name) && !besideParameters.has(name);
  };
  return new Map([...graph.initializers].filter(([name, tensor]) => isFixed(name, tensor)));
}

/** Whether the exporter says anything of a tensor by this name; copies that were split off have others. */
function isNamedIn({ buffers, madeOf }: Origins, name: string): boolean {
  return buffers.has(name) || madeOf.has(name) || MACHINE_NAME.test(name);
}

/** Minus infinity switches places off; no weight starts there. NaN is left to be refused. */
function isMask(tensor: Tensor): boolean {
  if (tensor.dtype !== 'float32') return false;
  const numbers = floatsOf(tensor);
  return numbers.some((x) => x === -Infinity) && !numbers.some(Number.isNaN);
}

function tie(graph: Graph, origins: Origins) {
  const initializers = new Map(graph.initializers);
  const owners = new Map<string, string>();
  const nodes: Node[] = [];
  for (const [name, tensor] of graph.initializers) {
    const [owner, ...more] = parametersIn(origins, name);
    if (owner === undefined || more.length > 0 || owner === name) continue;
    const source = graph.initializers.get(owner);
    if (source === undefined || !isTransposed(source, tensor)) continue;
    initializers.delete(name);
    owners.set(name, owner);
    nodes.push({
      ...{ op: 'Transpose', domain: '', name: `${name}/tied`, inputs: [owner], outputs: [name] },
      attributes: attributes({ perm: [1, 0] }),
    });
  }
  return { tied: owners, graph: { ...graph, initializers, nodes: [...nodes, ...graph.nodes] } };
}

/** How many elements the bias of a node without one has; undefined where it has no place for one. */
function biasSize({ op, domain, attributes }: Node, weight: readonly number[]): number | undefined {
  if (domain !== '') return undefined;
  if (op === 'Gemm') return intOf({ attributes }, 'transB', 0) === 1 ? weight[0] : weight[1];
  if (op === 'Conv') return weight[0];
  return op === 'ConvTranspose' ? weight[1]! * intOf({ attributes }, 'group', 1) : undefined;
}

/** Gives nodes back the bias that their call in the code names and that was nothing but zeros. */
function restore(graph: Graph, origins: Origins) {
  const targets = new Map([...origins.parameters].map((name) => [placeholder(name), name]));
  const names = new Map<string, string>();
  const restored = new Map<string, Tensor>();
  const splits = new Map<string, ReadonlyMap<number, string>>();
  const nodes = graph.nodes.map((node) => {
    const [x = '', weight = '', bias = ''] = node.inputs;
    const named = node.call?.parameters ?? [];
    const size = biasSize(node, graph.initializers.get(weight)?.dims ?? []);
    const told = named.length === 2 ? targets.get(named[1]!) : undefined;
    if (bias !== '' || size === undefined || told === undefined) return node;
    const name = names.get(told) ?? free(graph.initializers, told);
    names.set(told, name);
    restored.set(name, floatTensor([size], new Float32Array(size)));
    splits.set(outputOf(node), new Map([[2, name]]));
    return { ...node, inputs: [x, weight, name] };
  });
  const initializers = new Map([...graph.initializers, ...restored]);
  return { restored, splits, graph: { ...graph, initializers, nodes } };
}

/** A parameter's name as calls have it. */
const placeholder = (name: string): string => name.replaceAll('.', '_');

function free(taken: ReadonlyMap<string, unknown>, wish: string): string {
  let name = wish;
  for (let i = 2; taken.has(name); i++) name = `${wish}.${i}`;
  return name;
}

/** True when `b` holds the matrix `a` transposed. */
export function isTransposed(a: Tensor, b: Tensor): boolean {
  const [rows = 0, columns = 0] = a.dims;
  const fits = a.dims.length === 2 && b.dims.length === 2 && a.dtype === 'float32';
  if (!fits || b.dtype !== a.dtype || b.dims[0] !== columns || b.dims[1] !== rows) return false;
  const [first, second] = [a, b].map(({ bytes }) => new DataView(new Uint8Array(bytes).buffer));
  for (let i = 0; i < elementCount(a.dims); i++) {
    const [row, column] = [Math.floor(i / columns), i % columns];
    if (first!.getUint32(4 * i) !== second!.getUint32(4 * (column * rows + row))) return false;
  }
  return true;
}

/** A float32 matrix with rows and columns changed. */
export function transposed({ dims, bytes }: Tensor): Tensor {
  const [rows = 0, columns = 0] = dims;
  const values = new Float32Array(new Uint8Array(bytes).buffer);
  const turned = new Float32Array(values.length);
  values.forEach((value, i) => (turned[(i % columns) * rows + Math.floor(i / columns)] = value));
  return floatTensor([columns, rows], turned);
}
