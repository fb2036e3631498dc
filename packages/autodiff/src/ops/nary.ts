import type { GradientRule, Operator } from '../graph/operator.ts';
import { inferElementwise, sumTo } from './broadcast.ts';

const sum: GradientRule = ({ b, inputs, needs }, [g]) =>
  inputs.map((x, i) => (needs[i] ? sumTo(b, g!, x!) : undefined));

const mean: GradientRule = ({ b, inputs, needs }, [g]) => {
  const share = b.op('Div', [g, b.scalar(inputs.length, g)]);
  return inputs.map((x, i) => (needs[i] ? sumTo(b, share, x!) : undefined));
};

// Operands that tie share the gradient evenly, as torch.maximum does.
const extremum: GradientRule = ({ b, inputs, outputs: [y], needs }, [g]) => {
  const hits = inputs.map((x) => b.op('CastLike', [b.op('Equal', [x, y]), g]));
  const share = b.op('Div', [g, hits.length === 1 ? hits[0] : b.op('Sum', hits)]);
  return inputs.map((x, i) => (needs[i] ? sumTo(b, b.op('Mul', [share, hits[i]]), x!) : undefined));
};

const TIES = 'operands that tie share evenly';

/** Sum, Mean, Min, Max of any number of operands, with broadcasting. */
export const NARY: readonly Operator[] = [
  { op: 'Sum', infer: inferElementwise, gradient: sum },
  { op: 'Mean', infer: inferElementwise, gradient: mean },
  { op: 'Min', infer: inferElementwise, gradient: extremum, convention: TIES },
  { op: 'Max', infer: inferElementwise, gradient: extremum, convention: TIES },
];
