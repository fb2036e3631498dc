import { capturesOf } from '../../graph/capture.ts';
import { intOf, type Graph, type Node } from '../../graph/graph.ts';
import { elementCount, type Tensor } from '../../graph/tensor.ts';
import type { Model } from '../../model.ts';
import type { Parameter } from '../../parameters.ts';

/** What an update does with the rows of large tables that its batch does not look up. */
export type SparseEmbeddings = 'exact' | 'lazy' | 'never';

/** Elements from which a table is worth the work of finding its rows. */
export const LARGE_TABLE = 262_144;

/** A table of weights that the model only looks up, by row numbers that follow from its inputs alone. */
export interface Embedding {
  /** Name of the weight. */
  readonly name: string;
  readonly rows: number;
  readonly width: number;
  /** Where the row numbers come from. */
  readonly sources: readonly Source[];
}

/** Row numbers made from the numbers of one input. */
export interface Source {
  readonly input: string;
  /** What is done to each number, in this order; the other operands are constants of one element. */
  readonly nodes: readonly Node[];
}

/** Names under which the nodes of {@link byOpenRows} read where the rows stand. */
export const namesFor = (name: string) => ({
  places: `medley/places:${name}`,
  local: `medley/local:${name}`,
});

/** Operators that only move numbers, so that no number is new behind them. */
const MOVES = ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Slice'];
/** Operators on each number, of which the other operands are constants. */
const EACH = ['Cast', 'Add', 'Sub', 'Mul', 'Clip', 'Min', 'Max', 'Mod', 'Floor', 'Round', 'Abs'];
const MOST_SOURCES = 8;

/**
 * The tables of `graph` of which an update need only see the rows of its batch: large weights that
 * nothing but Gather along axis 0 reads, with row numbers that follow from inputs by moves and by
 * arithmetic on each number.
 */
export function embeddingsOf(
  graph: Graph,
  model: Pick<Model, 'constants' | 'parameters'>,
): readonly Embedding[] {
  const tables = model.parameters.filter(
    ({ role, shape, count }) => role !== 'buffer' && shape.length === 2 && count >= LARGE_TABLE,
  );
  if (tables.length === 0) return [];
  const view: View = {
    graph,
    makers: new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node]))),
    constantOf: (name) => model.constants.get(name) ?? graph.initializers.get(name),
    weights: new Set(model.parameters.map(({ name }) => name)),
  };
  return tables.flatMap((table) => embeddingOf(view, table) ?? []);
}

interface View {
  readonly graph: Graph;
  readonly makers: ReadonlyMap<string, Node>;
  readonly constantOf: (name: string) => Tensor | undefined;
  readonly weights: ReadonlySet<string>;
}

function embeddingOf(view: View, { name, shape }: Parameter): Embedding | undefined {
  const { graph } = view;
  const own = Object.values(namesFor(name));
  if (own.some((taken) => view.makers.has(taken) || view.constantOf(taken) !== undefined)) return;
  const isCaptured = graph.nodes.some((node) => capturesOf(node).includes(name));
  if (isCaptured || graph.outputs.some((output) => output.name === name)) return;
  const readers = graph.nodes.filter(({ inputs }) => inputs.includes(name));
  if (readers.length === 0 || !readers.every((node) => isLookup(node, name))) return;
  const sources = readers.map((node) => sourcesOf(view, node.inputs[1]!));
  if (sources.some((found) => found === undefined)) return;
  const all = sources.flatMap((found) => found!);
  if (all.length > MOST_SOURCES) return;
  return { name, rows: shape[0]!, width: shape[1]!, sources: all };
}

const isLookup = (node: Node, name: string): boolean =>
  node.op === 'Gather' &&
  node.domain === '' &&
  node.inputs[0] === name &&
  node.inputs[1] !== name &&
  intOf(node, 'axis', 0) === 0;

/** Where the numbers of `name` come from; undefined where that is not known. */
function sourcesOf(view: View, name: string): readonly Source[] | undefined {
  if (view.graph.inputs.some((input) => input.name === name && !view.weights.has(name)))
    return [{ input: name, nodes: [] }];
  const node = view.makers.get(name);
  if (node?.domain !== '') return undefined;
  if (MOVES.includes(node.op)) return sourcesOf(view, node.inputs[0]!);
  if (node.op === 'Concat') {
    const found = node.inputs.map((input) => sourcesOf(view, input));
    return found.every((list) => list !== undefined) ? found.flat() : undefined;
  }
  if (!EACH.includes(node.op)) return undefined;
  const open = node.inputs.filter((input) => input !== '' && !isNumber(view, input));
  const before = open.length === 1 ? sourcesOf(view, open[0]!) : undefined;
  return before?.map(({ input, nodes }) => ({ input, nodes: [...nodes, node] }));
}

const isNumber = (view: View, name: string): boolean => {
  const tensor = view.weights.has(name) ? undefined : view.constantOf(name);
  return tensor !== undefined && elementCount(tensor.dims) === 1;
};

/**
 * The graph reading the open rows of the tables in place of whole ones: row r of a table is the open
 * row local[places[r]]. Both lists are bound under the names of {@link namesFor}.
 */
export function byOpenRows(graph: Graph, embeddings: readonly Embedding[]): Graph {
  if (embeddings.length === 0) return graph;
  const tables = new Map(embeddings.map(({ name }) => [name, namesFor(name)]));
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const lists = node.op === 'Gather' ? tables.get(node.inputs[0]!) : undefined;
    if (lists === undefined) return [node];
    const [place, row] = [
      `${lists.places}:${node.outputs[0]!}`,
      `${lists.local}:${node.outputs[0]!}`,
    ];
    return [
      { ...lookup(lists.places, node.inputs[1]!, place) },
      { ...lookup(lists.local, place, row) },
      { ...node, inputs: [node.inputs[0]!, row] },
    ];
  });
  return { ...graph, nodes };
}

const lookup = (from: string, at: string, output: string): Node => ({
  op: 'Gather',
  domain: '',
  name: output,
  inputs: [from, at],
  outputs: [output],
  attributes: new Map(),
});
