import type { Case } from './case.ts';

export const MATRIX: readonly Case[] = [
  ...[0, 1].flatMap((transA) =>
    [0, 1].flatMap((transB) =>
      [[2, 4], [4], [1], [2, 1], undefined].map((bias) => ({
        op: 'Gemm',
        operands: [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], ...(bias ? [bias] : [])],
        attributes: { transA, transB, alpha: { float: 0.7 }, beta: { float: 1.3 } },
      })),
    ),
  ),
  ...[
    [
      [2, 3],
      [3, 4],
    ],
    [[3], [3, 2]],
    [[2, 3], [3]],
    [[3], [3]],
    [
      [2, 2, 3],
      [3, 2],
    ],
    [
      [2, 2, 3],
      [2, 3, 2],
    ],
    [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    [[3], [2, 3, 2]],
    [[2, 2, 3], [3]],
  ].map((operands) => ({ op: 'MatMul', operands })),
];
