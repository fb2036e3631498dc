import { dims, intOf } from '../../graph/graph.ts';
import { gram, gramSquares } from './sequence.ts';
import { squares, type PerExample, type Tap } from './tap.ts';

/**
 * Rows of a table by index: two places of an example share a row of the gradient where their indices
 * are equal, Σ_{s,t} [i_s = i_t]·⟨δ_s, δ_t⟩ (Bu et al. 2023, section 3).
 */
export function embedding(tap: Tap): PerExample | undefined {
  const { b, node, index, inputs, dY, weight } = tap;
  const indices = inputs[1]!;
  const [size, ...row] = dims(weight);
  const width = row.reduce<number>((product, dim) => product * Number(dim), 1);
  if (index !== 0 || intOf(node, 'axis', 0) !== 0 || typeof size !== 'number') return undefined;
  if (!Number.isInteger(width)) return undefined;
  if (dims(indices).length === 1) return { squares: squares(b, dY) };
  const [rows] = dims(indices);
  const flat = b.adopt({
    ...b.op('Reshape', [indices, b.ints([0, -1])]),
    shape: [rows!, b.fresh()],
  });
  // An index counts from the end when negative, so that two spellings may name one row.
  const wide = b.op('Cast', [flat], { to: 7 });
  const isNegative = b.op('Less', [wide, b.ints([0])]);
  const place = b.op('Where', [isNegative, b.op('Add', [wide, b.ints([size])]), wide]);
  const same = b.op('Equal', [
    b.op('Unsqueeze', [place, b.ints([1])]),
    b.op('Unsqueeze', [place, b.ints([2])]),
  ]);
  const slopes = b.adopt({
    ...b.op('Reshape', [dY, b.ints([0, -1, width])]),
    shape: [rows!, b.fresh(), width],
  });
  return { squares: gramSquares(b, gram(b, slopes), b.op('CastLike', [same, dY])) };
}
