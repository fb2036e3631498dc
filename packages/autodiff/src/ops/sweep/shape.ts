import { ints, type Case } from './case.ts';

export const SHAPE: readonly Case[] = [
  { op: 'Reshape', operands: [[2, 3, 2], ints(0, -1)] },
  { op: 'Reshape', operands: [[2, 3], ints(3, 2)] },
  { op: 'Flatten', operands: [[2, 3, 2]] },
  { op: 'Flatten', operands: [[2, 3]], attributes: { axis: 0 } },
  { op: 'Squeeze', operands: [[2, 1, 3], ints(1)] },
  { op: 'Squeeze', operands: [[2, 1, 3]], staticOnly: true },
  { op: 'Unsqueeze', operands: [[2, 3], ints(0, -1)] },
  { op: 'Transpose', operands: [[2, 3, 2]] },
  { op: 'Transpose', operands: [[2, 3, 2]], attributes: { perm: [1, 2, 0] } },
  { op: 'Expand', operands: [[3, 1], ints(2, 1, 4)] },
  { op: 'Expand', operands: [[2, 3], ints(1, 1)] },
];
