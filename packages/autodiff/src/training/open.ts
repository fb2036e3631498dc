import type { Builder } from '../graph/builder.ts';
import { cut, flatOf, joined } from '../graph/flat.ts';
import type { Value } from '../graph/graph.ts';
import type { Numbers } from '../optimizer/optimizer.ts';
import { constantIn, type Plan, type Updated } from './core.ts';
import { numbered, rowNumbers, rowsAt, withRows } from './embedding/rows.ts';
import { allPieces } from './pieces.ts';

/** The vectors of a training, flat. */
interface Whole {
  readonly parameters: Value;
  readonly slots: readonly Value[];
  /** What {@link Optimizer.vectors} names. */
  readonly vectors: Numbers;
}

/** The vectors cut into pieces, of embeddings only the rows that the data looks up. */
export interface Opened {
  /** By piece: [elements], or [open rows, width]. */
  readonly parameters: readonly Value[];
  /** By moved piece. */
  readonly slots: readonly (readonly Value[])[];
  readonly vectors: readonly Numbers[];
  /** By embedding: where its rows stand among the open ones, [rows]. */
  readonly places: ReadonlyMap<string, Value>;
  /** By piece: an embedding's open rows, and the whole tables to write them back into. */
  readonly tables: readonly (Table | undefined)[];
}

interface Table {
  /** Numbers of the open rows, [open]. */
  readonly list: Value;
  /** [rows, width]: the weights, then the slots. */
  readonly whole: readonly Value[];
}

/** Cuts the vectors; `inputs` are the data that the updates will see, or at least its row numbers. */
export function opened(
  b: Builder,
  plan: Plan,
  { parameters, slots, vectors }: Whole,
  inputs: ReadonlyMap<string, Value>,
): Opened {
  const { moved } = plan.pieces;
  const sizes = moved.map(({ count }) => count);
  const weights = cut(
    b,
    parameters,
    allPieces(plan.pieces).map(({ count }) => count),
  );
  const slotParts = slots.map((slot) => cut(b, slot, sizes));
  const vectorParts = Object.entries(vectors).map(
    ([name, vector]) => [name, cut(b, vector, sizes)] as const,
  );
  const places = new Map<string, Value>();
  const tables = moved.map(({ embedding }, i): Table | undefined => {
    if (embedding === undefined) return undefined;
    const { rows, width, name } = embedding;
    const numbers = rowNumbers(b, embedding, inputs, (constant) => constantIn(plan, constant));
    const found = numbered(b, numbers, b.ints([rows]));
    places.set(name, found.places);
    const whole = [weights[i]!, ...slotParts.map((parts) => parts[i]!)].map((vector) => {
      const table = b.op('Reshape', [vector, b.ints([rows, width])]);
      return b.adopt({ ...table, shape: [rows, width] });
    });
    return { list: found.list, whole };
  });
  const open = tables.map((table) => table?.whole.map((whole) => rowsAt(b, whole, table.list)));
  return {
    parameters: weights.map((value, i) => open[i]?.[0] ?? value),
    slots: moved.map((_, i) => open[i]?.slice(1) ?? slotParts.map((parts) => parts[i]!)),
    vectors: moved.map((_, i) =>
      Object.fromEntries(vectorParts.map(([name, parts]) => [name, parts[i]!])),
    ),
    places,
    tables,
  };
}

/** The vectors after updates, whole again. */
export function closed(
  b: Builder,
  { tables }: Opened,
  after: Pick<Updated, 'parameters' | 'slots'>,
): { readonly parameters: Value; readonly slots: readonly Value[] } {
  const back = (value: Value, i: number, k: number): Value => {
    const table = tables[i];
    return table === undefined ? value : flatOf(b, withRows(b, table.whole[k]!, table.list, value));
  };
  const count = after.slots[0]?.length ?? 0;
  return {
    parameters: joined(
      b,
      after.parameters.map((value, i) => back(value, i, 0)),
    ),
    slots: Array.from({ length: count }, (_, k) =>
      joined(
        b,
        after.slots.map((list, i) => back(list[k]!, i, k + 1)),
      ),
    ),
  };
}

/** The gradient as one vector, with zeros for the rows that no example looked up. */
export function dense(
  b: Builder,
  plan: Plan,
  { tables }: Opened,
  gradients: readonly Value[],
): Value {
  const parts = gradients.map((gradient, i) => {
    const table = tables[i];
    const embedding = plan.pieces.moved[i]?.embedding;
    if (table === undefined || embedding === undefined) return gradient;
    const { rows, width } = embedding;
    const zeros = b.op('Expand', [b.scalar(0), b.ints([rows, width])]);
    const none = b.adopt({ ...zeros, shape: [rows, width] });
    return flatOf(b, withRows(b, none, table.list, gradient));
  });
  return joined(b, parts);
}
