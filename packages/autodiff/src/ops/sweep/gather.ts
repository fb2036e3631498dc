import { intTensor } from '../../graph/tensor.ts';
import type { Case } from './case.ts';

export const GATHER: readonly Case[] = [
  {
    op: 'GatherElements',
    operands: [[2, 3], intTensor([2, 2], [0, 2, -1, 2])],
    attributes: { axis: 1 },
  },
  { op: 'GatherElements', operands: [[3, 2], intTensor([2, 2], [0, 2, 0, 2])] },
];
