import type { Builder } from '../graph/builder.ts';
import { constantOf, dims, type Value } from '../graph/graph.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { inferElementwise, sumTo } from './broadcast.ts';

const add: GradientRule = ({ b, inputs: [x, y] }, [g]) => [sumTo(b, g!, x!), sumTo(b, g!, y!)];

const sub: GradientRule = ({ b, inputs: [x, y], needs }, [g]) => [
  sumTo(b, g!, x!),
  needs[1] ? sumTo(b, b.op('Neg', [g]), y!) : undefined,
];

const mul: GradientRule = ({ b, inputs: [x, y], needs }, [g]) => [
  needs[0] ? sumTo(b, b.op('Mul', [g, y]), x!) : undefined,
  needs[1] ? sumTo(b, b.op('Mul', [g, x]), y!) : undefined,
];

// d(x/y)/dy = −(x/y)/y, from the output.
const div: GradientRule = ({ b, inputs: [x, y], outputs: [z], needs }, [g]) => {
  const dx = b.op('Div', [g, y]);
  return [
    needs[0] ? sumTo(b, dx, x!) : undefined,
    needs[1] ? sumTo(b, b.op('Neg', [b.op('Mul', [dx, z])]), y!) : undefined,
  ];
};

const pow: GradientRule = ({ b, inputs: [x, y], outputs: [z], needs }, [g]) => [
  needs[0] ? sumTo(b, b.op('Mul', [g, powBase(b, x!, y!, z!)]), x!) : undefined,
  needs[1] ? sumTo(b, b.op('Mul', [g, powExponent(b, x!, z!)]), y!) : undefined,
];

/** y·x^(y−1), and 0 for y = 0 whatever x is (PyTorch's convention). */
function powBase(b: Builder, x: Value, y: Value, z: Value): Value {
  const constant = constantOf(y);
  if (constant?.length === 1 && dims(y).length <= dims(x).length) {
    if (constant[0] === 2) return b.op('Mul', [x, b.scalar(2, x)]);
    if (constant[0] === 0.5) return b.op('Div', [b.scalar(0.5, x), z]);
  }
  const exponent = y.dtype === x.dtype ? y : b.op('CastLike', [y, x]);
  const slope = b.op('Mul', [exponent, b.op('Pow', [x, b.op('Sub', [exponent, b.scalar(1, x)])])]);
  const isZero = b.op('Equal', [exponent, b.scalar(0, x)]);
  return b.op('Where', [isZero, b.scalar(0, x), slope]);
}

/** z·ln x, and 0 for x = 0. */
function powExponent(b: Builder, x: Value, z: Value): Value {
  const isZero = b.op('Equal', [x, b.scalar(0, x)]);
  const safe = b.op('Where', [isZero, b.scalar(1, x), x]);
  return b.op('Where', [isZero, b.scalar(0, x), b.op('Mul', [z, b.op('Log', [safe])])]);
}

/** Add, Sub, Mul, Div, Pow: elementwise with broadcasting. */
export const BINARY: readonly Operator[] = [
  { op: 'Add', infer: inferElementwise, gradient: add },
  { op: 'Sub', infer: inferElementwise, gradient: sub },
  { op: 'Mul', infer: inferElementwise, gradient: mul },
  { op: 'Div', infer: inferElementwise, gradient: div },
  {
    op: 'Pow',
    infer: inferElementwise,
    gradient: pow,
    convention: '0 for the exponent 0, and for the exponent at base 0',
  },
];
