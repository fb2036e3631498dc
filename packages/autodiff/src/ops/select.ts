import { intOf } from '../graph/graph.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { inferElementwise, inferSame, sumTo } from './broadcast.ts';

// The mask comes before any product, so that NaN of the branch not taken never spreads.
const where: GradientRule = ({ b, inputs: [condition, x, y], needs }, [g]) => [
  undefined,
  needs[1] ? sumTo(b, b.op('Where', [condition, g, b.scalar(0, g)]), x!) : undefined,
  needs[2] ? sumTo(b, b.op('Where', [condition, b.scalar(0, g), g]), y!) : undefined,
];

// Bounds belong to the open part (torch.clamp): the gradient passes where min <= x <= max.
const clip: GradientRule = ({ b, inputs: [x, low, high] }, [g]) => {
  const zero = b.scalar(0, g);
  const fromLow =
    low === undefined ? g! : b.op('Where', [b.op('GreaterOrEqual', [x, low]), g, zero]);
  return [
    high === undefined ? fromLow : b.op('Where', [b.op('LessOrEqual', [x, high]), fromLow, zero]),
  ];
};

const trilu: GradientRule = ({ b, attributes, inputs: [, k] }, [g]) => [
  b.op('Trilu', [g, k], { upper: intOf({ attributes }, 'upper', 1) }),
];

/** Where, Clip and Trilu. */
export const SELECT: readonly Operator[] = [
  {
    op: 'Where',
    infer: (c) => inferElementwise(c, c.inputs[1]?.dtype ?? c.inputs[2]?.dtype),
    gradient: where,
    convention: 'NaN of the side not taken never spreads',
  },
  { op: 'Clip', infer: inferSame, gradient: clip, settings: [1, 2], convention: '1 on the bounds' },
  { op: 'Trilu', infer: inferSame, gradient: trilu, settings: [1] },
];
