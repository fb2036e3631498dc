import type { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Operator } from '../graph/operator.ts';
import { inferSame } from './broadcast.ts';

/** The factor on dY, from the input and the output; written so that it is exact where x is extreme. */
type Slope = (b: Builder, x: Value, y: Value) => Value;

const square = (b: Builder, x: Value): Value => b.op('Mul', [x, x]);
const oneMinus = (b: Builder, x: Value): Value => b.op('Sub', [b.scalar(1, x), x]);
const plusOne = (b: Builder, x: Value): Value => b.op('Add', [x, b.scalar(1, x)]);
const inverse = (b: Builder, x: Value): Value => b.op('Reciprocal', [x]);

const SLOPES: Readonly<Record<string, Slope>> = {
  Neg: (b, x) => b.scalar(-1, x),
  // Sign(0) = 0, which is the convention for |x| at 0.
  Abs: (b, x) => b.op('Sign', [x]),
  Exp: (_, __, y) => y,
  Log: (b, x) => inverse(b, x),
  Sqrt: (b, x, y) => b.op('Div', [b.scalar(0.5, x), y]),
  Reciprocal: (b, _, y) => b.op('Neg', [square(b, y)]),
  Erf: (b, x) =>
    b.op('Mul', [b.op('Exp', [b.op('Neg', [square(b, x)])]), b.scalar(2 / Math.sqrt(Math.PI), x)]),
  Sin: (b, x) => b.op('Cos', [x]),
  Cos: (b, x) => b.op('Neg', [b.op('Sin', [x])]),
  Tan: (b, _, y) => plusOne(b, square(b, y)),
  Asin: (b, x) => inverse(b, b.op('Sqrt', [oneMinus(b, square(b, x))])),
  Acos: (b, x) => b.op('Neg', [inverse(b, b.op('Sqrt', [oneMinus(b, square(b, x))]))]),
  Atan: (b, x) => inverse(b, plusOne(b, square(b, x))),
  Sinh: (b, x) => b.op('Cosh', [x]),
  Cosh: (b, x) => b.op('Sinh', [x]),
  Tanh: (b, _, y) => oneMinus(b, square(b, y)),
  Asinh: (b, x) => inverse(b, b.op('Sqrt', [plusOne(b, square(b, x))])),
  // (x−1)(x+1) instead of x²−1: no cancellation near 1.
  Acosh: (b, x) =>
    inverse(b, b.op('Sqrt', [b.op('Mul', [b.op('Sub', [x, b.scalar(1, x)]), plusOne(b, x)])])),
  Atanh: (b, x) => inverse(b, oneMinus(b, square(b, x))),
  Sigmoid: (b, _, y) => b.op('Mul', [y, oneMinus(b, y)]),
  Softplus: (b, x) => b.op('Sigmoid', [x]),
  Softsign: (b, x) => inverse(b, square(b, plusOne(b, b.op('Abs', [x])))),
};

/** Elementwise functions of one operand without attributes. */
export const UNARY: readonly Operator[] = Object.entries(SLOPES).map(([op, slope]) => ({
  op,
  infer: inferSame,
  gradient: ({ b, inputs: [x], outputs: [y] }, [g]) => [b.op('Mul', [g, slope(b, x!, y!)])],
  ...(op === 'Abs' ? { convention: '0 at 0' } : {}),
}));
