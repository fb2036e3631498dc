import { dims, type Value } from '../../graph/graph.ts';
import type { Dim } from '../../graph/shape.ts';
import { perRow, squares, weightGradient, type PerExample, type Tap } from './tap.ts';

/**
 * Any operator whose operands broadcast (scales, biases, slopes, position embeddings, class tokens):
 * with a copy of the weight for each row in its place, the operator's rule gives the gradient of each.
 */
export function elementwise(tap: Tap): PerExample | undefined {
  const { b, weight, dY } = tap;
  const rank = dims(dY).length;
  const own = dims(weight);
  const lead = rank - own.length;
  // The place of the rows must be free in the weight.
  if (lead < 0 || (lead === 0 && own[0] !== 1)) return undefined;
  const rest: readonly Dim[] =
    lead === 0 ? own.slice(1) : [...Array<Dim>(lead - 1).fill(1), ...own];
  if (rest.some((dim) => typeof dim !== 'number')) return undefined;
  const copy = copied(tap, rest as readonly number[]);
  const given = weightGradient(tap, dY, copy.value);
  copy.dropUnused();
  const each = perRow(b, given);
  return { squares: squares(b, each), each };
}

/** The weight repeated for each row: [rows, ...rest]. */
function copied(
  { b, weight, dY }: Tap,
  rest: readonly number[],
): { readonly value: Value; readonly dropUnused: () => void } {
  const shaped = b.op('Reshape', [weight, b.ints([1, ...rest])]);
  const rows = dims(dY)[0]!;
  const count =
    typeof rows === 'number' ? b.ints([rows]) : b.op('Shape', [dY], { start: 0, end: 1 });
  const target = b.op('Concat', [count, b.ints(rest)], { axis: 0 });
  const made = b.op('Expand', [shaped, target]);
  const value = b.adopt({ ...made, shape: [rows, ...rest] });
  const at = b.nodes.findIndex(({ outputs }) => outputs[0] === value.name);
  // Most rules do not read the weight, and the runtime computes what nobody reads.
  const dropUnused = (): void => {
    const isRead = b.nodes.slice(at + 1).some(({ inputs }) => inputs.includes(value.name));
    if (!isRead) b.nodes.splice(at, 1);
  };
  return { value, dropUnused };
}
