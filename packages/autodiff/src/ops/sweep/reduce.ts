import { ints, POSITIVE, type Case } from './case.ts';

const reduce = (op: string, rest: Partial<Case> = {}): readonly Case[] => [
  { op, operands: [[2, 3, 2], ints(1)], attributes: { keepdims: 0 }, ...rest },
  { op, operands: [[2, 3, 2], ints(-1, 0)], attributes: { keepdims: 1 }, ...rest },
  { op, operands: [[2, 3], undefined], attributes: { keepdims: 0 }, ...rest },
  { op, operands: [[2, 3], undefined], attributes: { noop_with_empty_axes: 1 }, ...rest },
];

export const REDUCE: readonly Case[] = [
  ...['Sum', 'Mean', 'Max', 'Min', 'L2', 'SumSquare', 'LogSumExp'].flatMap((name) =>
    reduce(`Reduce${name}`),
  ),
  ...reduce('ReduceL1', { kinks: [0] }),
  ...reduce('ReduceLogSum', POSITIVE),
  ...reduce('ReduceProd', POSITIVE),
];
