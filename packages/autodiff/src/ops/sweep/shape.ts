import { ints, type Case } from './case.ts';

const PERMUTATIONS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

const slice = (operand: readonly number[], ...bounds: readonly (readonly number[])[]): Case => ({
  op: 'Slice',
  operands: [operand, ...bounds.map((bound) => ints(...bound))],
});

const pad = (
  operand: readonly number[],
  pads: readonly number[],
  mode: string,
  axes?: number[],
): Case => ({
  op: 'Pad',
  operands: [operand, ints(...pads), undefined, ...(axes === undefined ? [] : [ints(...axes)])],
  attributes: { mode },
});

/** Operators that move, cut, join and repeat elements. */
export const SHAPE: readonly Case[] = [
  { op: 'Reshape', operands: [[2, 3, 2], ints(0, -1)] },
  { op: 'Reshape', operands: [[2, 3], ints(3, 2)] },
  { op: 'Reshape', operands: [[2, 3], ints(-1)] },
  { op: 'Reshape', operands: [[2, 3], ints(1, 6)], attributes: { allowzero: 1 } },
  { op: 'Flatten', operands: [[2, 3, 2]] },
  { op: 'Flatten', operands: [[2, 3, 2]], attributes: { axis: -1 } },
  { op: 'Flatten', operands: [[2, 3]], attributes: { axis: 0 } },
  { op: 'Squeeze', operands: [[2, 1, 3], ints(1)] },
  { op: 'Squeeze', operands: [[2, 1, 3, 1], ints(-1, 1)] },
  { op: 'Squeeze', operands: [[2, 1, 3]], staticOnly: true },
  { op: 'Unsqueeze', operands: [[2, 3], ints(0, -1)] },
  { op: 'Unsqueeze', operands: [[2, 3], ints(1)] },
  { op: 'Transpose', operands: [[2, 3, 2]] },
  ...PERMUTATIONS.map((perm) => ({ op: 'Transpose', operands: [[2, 3, 2]], attributes: { perm } })),
  { op: 'Expand', operands: [[3, 1], ints(2, 1, 4)] },
  { op: 'Expand', operands: [[2, 3], ints(1, 1)] },
  { op: 'Expand', operands: [[], ints(2, 2)] },
  { op: 'Tile', operands: [[2, 3], ints(2, 3)] },
  { op: 'Tile', operands: [[2, 1, 3], ints(1, 4, 1)] },
  slice([4, 5], [1, 0], [3, 4]),
  slice([4, 5], [-3], [2 ** 31 - 1], [1]),
  slice([4, 5], [0], [-1], [-1]),
  slice([4, 5], [2], [99], [0], [1]),
  slice([4, 5], [4, 0], [-99, 5], [1, 0], [-2, 1]),
  slice([4, 5], [0, 1], [4, 5], [0, 1], [3, 2]),
  slice([2, 3], [1], [1], [0]),
  pad([2, 3], [1, 0, 0, 2], 'constant'),
  pad([4, 5], [-1, 0, 1, -2], 'constant'),
  pad([2, 3], [1, 2], 'constant', [-1]),
  pad([3, 4], [1, 2, 2, 1], 'reflect'),
  pad([2, 3], [1, 2, 2, 3], 'edge'),
  pad([2, 4], [1, 2], 'reflect', [1]),
  {
    op: 'Concat',
    operands: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    attributes: { axis: 1 },
  },
  {
    op: 'Concat',
    operands: [
      [1, 3],
      [2, 3],
    ],
    attributes: { axis: -2 },
  },
  pad([3, 4], [1, 2, 2, 1], 'wrap'),
  { op: 'Concat', operands: [[2, 3]], attributes: { axis: 0 } },
  {
    op: 'Concat',
    operands: [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    attributes: { axis: 1 },
    constants: [1],
  },
  {
    op: 'Split',
    operands: [[2, 6], ints(1, 3, 2)],
    attributes: { axis: 1 },
    outputs: 3,
    targets: [0, 1, 2],
  },
  {
    op: 'Split',
    operands: [[2, 6], ints(1, 3, 2)],
    attributes: { axis: -1 },
    outputs: 3,
    targets: [1],
  },
  { op: 'Split', operands: [[5, 2]], attributes: { num_outputs: 2 }, outputs: 2, targets: [1] },
  { op: 'Trilu', operands: [[3, 3]] },
  { op: 'Trilu', operands: [[2, 3, 4], { ...ints(1), dims: [] }], attributes: { upper: 0 } },
  { op: 'Trilu', operands: [[2, 3, 4], { ...ints(-1), dims: [] }], attributes: { upper: 1 } },
];
