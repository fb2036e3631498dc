import { intTensor, type Tensor } from '../../graph/tensor.ts';
import type { Case } from './case.ts';

const DUPLICATES = intTensor([4], [0, 2, 0, -1]);
const TABLE = intTensor([2, 3], [0, 1, -1, 2, 0, 0]);

const gather = (x: readonly number[], indices: Tensor, axis: number): Case => ({
  op: 'Gather',
  operands: [x, indices],
  attributes: { axis },
});

const gatherND = (x: readonly number[], indices: Tensor, batch_dims = 0): Case => ({
  op: 'GatherND',
  operands: [x, indices],
  attributes: { batch_dims },
});

/** Elements read by index, some several times, some from the end. */
export const GATHER: readonly Case[] = [
  ...[DUPLICATES, TABLE, intTensor([], [2]), intTensor([], [-1]), intTensor([1, 1], [1])].flatMap(
    (indices) => [
      gather([3, 4], indices, 0),
      gather([2, 3, 2], indices, 1),
      gather([2, 2, 3], indices, -1),
    ],
  ),
  gather([3], intTensor([], [0]), 0),
  {
    op: 'GatherElements',
    operands: [[2, 3], intTensor([2, 2], [0, 2, -1, 2])],
    attributes: { axis: 1 },
  },
  { op: 'GatherElements', operands: [[3, 2], intTensor([2, 2], [0, 2, 0, 2])] },
  gatherND([3, 4], intTensor([3, 1], [0, -1, 0])),
  gatherND([3, 4], intTensor([2, 2, 2], [0, 1, 2, 3, 0, 1, -1, -2])),
  gatherND([2, 3, 2], intTensor([2, 2, 1], [0, 2, 1, 1]), 1),
  gatherND([2, 2, 3], intTensor([2, 2, 1], [0, 2, 1, -1]), 2),
  ...['none', 'add', 'max', 'min'].flatMap((reduction) => [
    {
      op: 'ScatterElements',
      operands: [[3, 3], intTensor([2, 3], [0, 2, -2, 2, 0, 2]), [2, 3]],
      attributes: { axis: 0, reduction },
    },
    {
      op: 'ScatterElements',
      operands: [[2, 4], intTensor([2, 2], [3, 0, -1, 1]), [2, 2]],
      attributes: { axis: 1, reduction },
    },
    {
      op: 'ScatterND',
      operands: [[4, 2], intTensor([2, 1], [1, -1]), [2, 2]],
      attributes: { reduction },
    },
    {
      op: 'ScatterND',
      operands: [[2, 3, 2], intTensor([2, 2, 2], [0, 1, 1, 2, 1, 0, 0, -1]), [2, 2, 2]],
      attributes: { reduction },
    },
  ]),
  {
    op: 'ScatterND',
    operands: [[3, 2], intTensor([3, 1], [1, 1, -2]), [3, 2]],
    attributes: { reduction: 'add' },
  },
  {
    op: 'ScatterElements',
    operands: [[3], intTensor([4], [0, 1, 1, 1]), [4]],
    attributes: { reduction: 'add' },
  },
];
