import { intTensor } from '../../graph/tensor.ts';
import { ints, type Case } from './case.ts';

/** Sums and choices along one axis. */
export const ORDER: readonly Case[] = [
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].flatMap((reverse) =>
      [0, -1].map((axis) => ({
        op: 'CumSum',
        operands: [[3, 4], intTensor([], [axis])],
        attributes: { exclusive, reverse },
      })),
    ),
  ),
  ...[0, 1].flatMap((largest) =>
    [0, -1].map((axis) => ({
      op: 'TopK',
      operands: [[4, 3], ints(2)],
      attributes: { largest, axis, sorted: 1 },
      outputs: 2,
      from: -9,
      to: 9,
    })),
  ),
  { op: 'TopK', operands: [[2, 3], ints(3)], outputs: 2, from: -9, to: 9 },
  { op: 'ReverseSequence', operands: [[4, 2, 2], ints(3, 2)] },
  {
    op: 'ReverseSequence',
    operands: [[2, 4], ints(1, 4)],
    attributes: { batch_axis: 0, time_axis: 1 },
  },
];
