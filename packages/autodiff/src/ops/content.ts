import type { Value } from '../graph/graph.ts';
import type { InferContext } from '../graph/infer.ts';
import type { Dim } from '../graph/shape.ts';
import { difference, product, quotient, sum } from '../graph/symbol.ts';

/** Contents of integer vectors are followed up to this length: shapes, not data. */
const LONGEST = 64;

/** What one element of the result is; undefined when that is not known. */
type Formula = (a: Dim, b: Dim, ...others: readonly Dim[]) => Dim | undefined;

const INTEGERS: Readonly<Record<string, Formula>> = {
  Add: (a, b) => sum(a, b),
  Sub: (a, b) => difference(a, b),
  Mul: (a, b) => product([a, b]),
  Div: (a, b) => quotient(a, b),
  Equal: (a, b) => isEqual(a, b),
  Where: (condition, a, b) => (condition === 1 ? a : condition === 0 ? b : undefined),
  Max: (...dims) => extremum(Math.max, dims),
  Min: (...dims) => extremum(Math.min, dims),
};

// A symbol is a size: never negative. Ours may be formulas, which need not be sizes.
function isEqual(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return 1;
  if (typeof a === 'number' && typeof b === 'number') return 0;
  const [name, number] = typeof a === 'string' ? [a, b] : [b, a];
  const isSize = typeof name === 'string' && !name.startsWith('?');
  return isSize && typeof number === 'number' && number < 0 ? 0 : undefined;
}

function extremum(pick: (...numbers: number[]) => number, dims: readonly Dim[]): Dim | undefined {
  if (dims.every((dim) => dim === dims[0])) return dims[0];
  const numbers = dims.filter((dim) => typeof dim === 'number');
  return numbers.length === dims.length ? pick(...numbers) : undefined;
}

const isWhole = (value: Value): boolean => value.dtype === 'int64' || value.dtype === 'int32';

/** The elements of an elementwise result over integer vectors, as far as all of them are known. */
export function elementwiseContent(c: InferContext): readonly Dim[] | undefined {
  const formula = INTEGERS[c.op];
  if (formula === undefined || c.inputs.length < 2) return undefined;
  const operands: (readonly Dim[])[] = [];
  for (const [i, input] of c.inputs.entries()) {
    const isCondition = c.op === 'Where' && i === 0;
    if (input?.content === undefined || (!isWhole(input) && !isCondition)) return undefined;
    operands.push(input.content);
  }
  const length = Math.max(...operands.map((content) => content.length));
  if (length > LONGEST || operands.some((part) => part.length !== 1 && part.length !== length)) {
    return undefined;
  }
  const content = Array.from({ length }, (_, i) => {
    const [first, second, ...others] = operands.map((part) => part[part.length === 1 ? 0 : i]!);
    return formula(first!, second!, ...others);
  });
  return content.every((dim) => dim !== undefined) ? content : undefined;
}
