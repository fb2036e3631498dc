import { isFloat } from '../graph/dtype.ts';
import type { Graph, Node } from '../graph/graph.ts';
import { elementCount, numbersOf, type Tensor } from '../graph/tensor.ts';
import { modulesOf, type ModuleOf } from './module.ts';

/** A graph in which every weight is an initializer of its own. */
export interface Unshared {
  readonly graph: Graph;
  /** New tensors, by name, with the initializer they were merged into. */
  readonly copies: ReadonlyMap<string, string>;
  /** By the first output of a node: the new tensors it takes, by input. */
  readonly splits: ReadonlyMap<string, ReadonlyMap<number, string>>;
  /** Tensors that an exporter made of numbers in its own code: never weights. */
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** Inputs that hold a weight of the node's own, with PyTorch's name for it. */
const SLOTS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  LayerNormalization: { 1: 'weight', 2: 'bias' },
  GroupNormalization: { 1: 'weight', 2: 'bias' },
  InstanceNormalization: { 1: 'weight', 2: 'bias' },
  BatchNormalization: { 1: 'weight', 2: 'bias', 3: 'running_mean', 4: 'running_var' },
  RMSNormalization: { 1: 'weight' },
  Conv: { 1: 'weight', 2: 'bias' },
  ConvTranspose: { 1: 'weight', 2: 'bias' },
  Gemm: { 1: 'weight', 2: 'bias' },
  PRelu: { 1: 'weight' },
  Add: { 0: 'bias', 1: 'bias' },
  Mul: { 0: 'weight', 1: 'weight' },
};

/** Slots that start with the same numbers in many layers: exporters merge these even without telling. */
const UNIFORM_STARTS: Readonly<Record<string, number>> = {
  Conv: 2,
  ConvTranspose: 2,
  Gemm: 2,
  PRelu: 1,
};

interface Use {
  readonly node: Node;
  readonly input: number;
}

/**
 * Undoes the merging of equal initializers: a fresh model has one tensor of ones
 * behind all its normalisation scales. Uses become weights of their own when they belong to
 * different parameters in the code, as PyTorch's metadata tells, and without metadata when they are
 * operands of normalisation nodes, or biases or PRelu slopes in which all numbers are equal, unless the
 * names of the nodes tell that one layer is called several times. The first use keeps the name.
 */
export function unshare(file: Graph): Unshared {
  const modules = modulesOf(file);
  const { graph, copies, passed } = renamedApart(file, modules);
  const constants = machineMade(graph);
  const renames = new Map<Node, Map<number, string>>();
  const taken = new Set([...graph.initializers.keys(), ...graph.nodes.flatMap((n) => n.outputs)]);
  const rename = ({ node, input }: Use, name: string): void => {
    const inputs = renames.get(node) ?? new Map<number, string>();
    renames.set(node, inputs.set(input, name));
  };
  for (const [source, uses] of usesOf(graph)) {
    const tensor = graph.initializers.get(source)!;
    for (const use of uses) if (constants.nodes.has(use.node)) rename(use, constants.name(source));
    // What only passes a weight on follows whoever keeps its name.
    const open = uses.filter(({ node }) => !constants.nodes.has(node) && !isIdentity(node));
    const [first, ...others] = [...groupsOf({ source, tensor, modules }, open)].sort(
      (a, b) => Number(bears(b, source)) - Number(bears(a, source)),
    );
    if (first === undefined) continue;
    for (const group of others) {
      const name = free(taken, nameOf(group[0]!, source));
      copies.set(name, source);
      for (const use of group) rename(use, name);
    }
  }
  const nodes = graph.nodes.map((node) => {
    const inputs = renames.get(node);
    return inputs === undefined
      ? node
      : { ...node, inputs: node.inputs.map((name, i) => inputs.get(i) ?? name) };
  });
  const initializers = new Map(graph.initializers);
  for (const [name, source] of copies) initializers.set(name, initializers.get(source)!);
  const fixed = fixedBuffers(graph);
  for (const [name] of fixed) initializers.delete(name);
  const splits = new Map([
    ...passed,
    ...[...renames].map(([node, inputs]) => [outputOf(node), inputs] as const),
  ]);
  const made = constants.tensors();
  for (const [name, source] of made) copies.set(name, source);
  return {
    graph: { ...graph, nodes, initializers },
    copies,
    splits,
    constants: new Map([
      ...fixed,
      ...[...made].map(([name, source]) => [name, graph.initializers.get(source)!] as const),
    ]),
  };
}

/**
 * TorchScript's names for weights that it has laid out anew (`onnx::MatMul_52`) say nothing of the code:
 * one that it merged into another is a weight of its own when it is used in another module.
 */
function renamedApart(graph: Graph, modules: ModuleOf) {
  const copies = new Map<string, string>();
  const users = new Map<string, Node>();
  for (const node of graph.nodes)
    for (const input of node.inputs)
      if (!users.has(input) && !isIdentity(node)) users.set(input, node);
  const passed = new Map<string, ReadonlyMap<number, string>>();
  const places = new Map<string, string>();
  const placeOf = (name: string): string | undefined => {
    const user = users.get(name);
    const module = user === undefined ? undefined : modules(user);
    return module === undefined ? undefined : JSON.stringify([user?.op, module]);
  };
  const nodes = graph.nodes.flatMap((node) => {
    const [source = ''] = node.inputs;
    const [target = ''] = node.outputs;
    const isMade = isIdentity(node) && /^onnx::\w+_\d+$/.test(target);
    if (!isMade || !isFloat(graph.initializers.get(source)?.dtype)) return [node];
    const [here, there] = [placeOf(target), placeOf(source)];
    if (here === undefined || here === there) return [node];
    const key = JSON.stringify([source, here]);
    const known = places.get(key);
    if (known !== undefined) {
      passed.set(target, new Map([[0, known]]));
      return [{ ...node, inputs: [known] }];
    }
    places.set(key, target);
    copies.set(target, source);
    return [];
  });
  const initializers = new Map(graph.initializers);
  for (const [name, source] of copies) initializers.set(name, initializers.get(source)!);
  return { graph: { ...graph, nodes, initializers }, copies, passed };
}

const isIdentity = ({ op, domain }: Node): boolean => op === 'Identity' && domain === '';

/** The graph as the file has it, for models that tie weights on purpose. */
export function untouched(graph: Graph): Unshared {
  return { graph, copies: new Map(), splits: new Map(), constants: new Map() };
}

/** What identifies a node in the file: names of nodes may be missing, those of outputs may not. */
export function outputOf(node: { readonly outputs: readonly string[] }): string {
  return node.outputs.find((name) => name !== '') ?? '';
}

/** Float buffers by their names in the code, such as masks and tables; no running statistics. */
function fixedBuffers(graph: Graph): readonly (readonly [string, Tensor])[] {
  const buffers = new Set(graph.nodes.flatMap(({ call }) => call?.buffers ?? []));
  const parameters = new Set(graph.nodes.flatMap(({ call }) => call?.parameters ?? []));
  const statistics = new Set(
    graph.nodes.flatMap(({ op, inputs }) => (op === 'BatchNormalization' ? inputs.slice(1) : [])),
  );
  return [...graph.initializers].filter(([name, tensor]) => {
    const told = name.replaceAll('.', '_');
    const isFixed = buffers.has(told) && !parameters.has(told) && !statistics.has(name);
    return isFixed && isFloat(tensor.dtype);
  });
}

function usesOf(graph: Graph): ReadonlyMap<string, readonly Use[]> {
  const uses = new Map<string, Use[]>();
  for (const node of graph.nodes) {
    node.inputs.forEach((name, input) => {
      if (!isFloat(graph.initializers.get(name)?.dtype)) return;
      const known = uses.get(name) ?? [];
      known.push({ node, input });
      uses.set(name, known);
    });
  }
  return uses;
}

const isNorm = ({ op, domain }: Node): boolean => domain === '' && op.endsWith('Normalization');

/** Uses of one weight: the names it has in the code, and which operand of a normalisation it is. */
interface Group {
  readonly uses: Use[];
  readonly names: readonly string[];
  readonly slot: string;
}

/** The uses of one initializer, put together where they are one weight. */
function groupsOf(
  { source, tensor, modules }: { source: string; tensor: Tensor; modules: ModuleOf },
  uses: readonly Use[],
): readonly (readonly Use[])[] {
  if (uses.length < 2) return [uses];
  const isUniform = allEqual(tensor);
  const groups: Group[] = [];
  const rest: Use[] = [];
  for (const use of uses) {
    const told = tensor.dims.length > 0 || use.node.op === 'PRelu' ? namesOf(use) : [];
    const module = told.length > 0 ? undefined : modules(use.node);
    const isKept = isOwners(use, source, module) || !isOwnSlot(use, isUniform);
    if (told.length === 0 && isKept) {
      rest.push(use);
      continue;
    }
    const names = module === undefined ? told : [`/${module}`];
    const operand = isNorm(use.node) ? String(use.input) : '';
    const same = groups.findIndex(
      (group) => group.slot === operand && names.some((name) => group.names.includes(name)),
    );
    const { uses: before = [], names: known = [] } = groups[same] ?? {};
    const joined = {
      uses: [...before, use],
      names: [...new Set([...known, ...names])],
      slot: operand,
    };
    groups.splice(same < 0 ? groups.length : same, 1, joined);
  }
  return [...(rest.length > 0 ? [rest] : []), ...groups.map((group) => group.uses)];
}

/** True for a use in the module that the weight has its name from, as that name says. */
function isOwners({ node, input }: Use, source: string, module: string | undefined): boolean {
  const slot = SLOTS[node.op]?.[input];
  return module !== undefined && slot !== undefined && source === `${module}.${slot}`;
}

const namesOf = ({ node }: Use): readonly string[] => node.call?.parameters ?? [];

/** True for an operand that is a weight of the node's own, whoever shares it. */
function isOwnSlot({ node, input }: Use, isUniform: boolean): boolean {
  if (node.domain !== '') return false;
  if (isNorm(node)) return SLOTS[node.op]?.[input] !== undefined;
  return isUniform && UNIFORM_STARTS[node.op] === input;
}

/** True when the exporter named the initializer after this use. */
function bears([use]: readonly Use[], source: string): boolean {
  return use?.node.call?.parameters.includes(source.replaceAll('.', '_')) === true;
}

/** `layer.weight` where the metadata tells, else the merged name with that of the node. */
function nameOf({ node, input }: Use, source: string): string {
  const told = `${node.call?.scope ?? ''}.${SLOTS[node.op]?.[input] ?? ''}`;
  const isTold = node.call?.parameters.includes(told.replaceAll('.', '_')) === true;
  return isTold ? told : `${source}/${node.name}`;
}

function free(taken: Set<string>, wish: string): string {
  let name = wish;
  for (let i = 2; taken.has(name); i++) name = `${wish}.${i}`;
  taken.add(name);
  return name;
}

/**
 * PyTorch writes a GroupNorm, or an InstanceNorm without weights, as InstanceNormalization with scale 1
 * and bias 0, and multiplies by the weights afterwards: these ones and zeros are no weights.
 */
function machineMade(graph: Graph) {
  const affine = new Set(
    graph.nodes
      .filter(
        ({ op, inputs }) => op === 'Mul' && inputs.some((name) => graph.initializers.has(name)),
      )
      .flatMap(({ call }) => call?.text ?? []),
  );
  const nodes = new Set(
    graph.nodes.filter((node) => {
      const [scale, bias] = node.inputs.slice(1).map((name) => graph.initializers.get(name));
      if (node.op !== 'InstanceNormalization' || scale === undefined || bias === undefined)
        return false;
      if (!allEqual(scale, 1) || !allEqual(bias, 0)) return false;
      return node.call === undefined
        ? node.inputs.slice(1).every((name) => /^val_\d+$/.test(name))
        : node.call.parameters.length === 0 || affine.has(node.call.text);
    }),
  );
  const used = new Map<string, string>();
  const taken = new Set(graph.initializers.keys());
  const name = (source: string): string => {
    const known = used.get(source) ?? free(taken, `${source}/constant`);
    used.set(source, known);
    return known;
  };
  const tensors = () => new Map([...used].map(([source, made]) => [made, source]));
  return { nodes, name, tensors };
}

function allEqual(tensor: Tensor, wanted?: number): boolean {
  if (elementCount(tensor.dims) > 2 ** 20) return false;
  const numbers = numbersOf(tensor);
  const [first] = numbers ?? [];
  return first !== undefined && numbers!.every((number) => number === (wanted ?? first));
}
