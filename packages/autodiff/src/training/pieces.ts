import type { Builder } from '../graph/builder.ts';
import { cut } from '../graph/flat.ts';
import type { Value } from '../graph/graph.ts';
import { parameterCount, type Parameter } from '../parameters.ts';
import type { Embedding } from './embedding/lookup.ts';

/**
 * A stretch of the flat vector that goes through the updates as a vector of its own: a large tensor,
 * so that it need not be cut out of the whole and joined to it again at every update, or several
 * small ones, so that the optimizer does not run once for each.
 */
export interface Piece {
  readonly parameters: readonly Parameter[];
  /** Number of elements. */
  readonly count: number;
  /** Set where an update reads and writes only the rows that its batch looks up. */
  readonly embedding?: Embedding;
}

/** Elements from which a tensor is a piece of its own: cutting and joining fewer costs less. */
const LARGE = 65_536;

/** The flat vector from its start to its end, cut. */
export interface Pieces {
  /** Those that the optimizer moves. */
  readonly moved: readonly Piece[];
  /** Running statistics, which are replaced and not moved; absent where there are none. */
  readonly buffers?: Piece;
}

/** Cuts the vector of `parameters`; with `isWhole` there is one moved piece. */
export function piecesOf(
  parameters: readonly Parameter[],
  embeddings: readonly Embedding[],
  isWhole: boolean,
): Pieces {
  const groups: Parameter[][] = [];
  let isOpen = false;
  for (const parameter of parameters.filter(({ role }) => role !== 'buffer')) {
    const isLarge = !isWhole && parameter.count >= LARGE;
    if (isLarge || !isOpen) groups.push([]);
    groups.at(-1)!.push(parameter);
    isOpen = !isLarge;
  }
  const moved = groups.map((group): Piece => {
    const embedding = embeddings.find(({ name }) => group.length === 1 && name === group[0]!.name);
    return { ...pieceOf(group), ...(embedding && { embedding }) };
  });
  const buffers = parameters.filter(({ role }) => role === 'buffer');
  return { moved, ...(buffers.length > 0 && { buffers: pieceOf(buffers) }) };
}

const pieceOf = (parameters: readonly Parameter[]): Piece => ({
  parameters,
  count: parameterCount(parameters),
});

/** The pieces in the order of the vector. */
export function allPieces({ moved, buffers }: Pieces): readonly Piece[] {
  return buffers === undefined ? moved : [...moved, buffers];
}

/** The tensors that the vector of a piece holds. */
export function tensorsOf(b: Builder, { parameters }: Piece, vector: Value): readonly Value[] {
  const parts = cut(
    b,
    vector,
    parameters.map(({ count }) => count),
  );
  return parameters.map(({ shape }, i) =>
    shape.length === 1 ? parts[i]! : b.op('Reshape', [parts[i], b.ints(shape)]),
  );
}
