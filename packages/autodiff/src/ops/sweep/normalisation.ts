import { POSITIVE, type Case } from './case.ts';

const training = (x: readonly number[], rest: Partial<Case> = {}): Case => {
  const channels = [x[1]!];
  return {
    op: 'BatchNormalization',
    operands: [x, channels, channels, channels, channels],
    attributes: { training_mode: 1 },
    outputs: 3,
    constants: [3, 4],
    ...rest,
  };
};

const fixed = (x: readonly number[], rest: Partial<Case> = {}): Case => ({
  ...training(x),
  attributes: { epsilon: { float: 0.01 } },
  outputs: 1,
  ...POSITIVE,
  ...rest,
});

const BATCH: readonly Case[] = [
  training([5, 3]),
  training([3, 2, 4]),
  training([2, 3, 2, 3]),
  training([2, 2, 2, 1, 3]),
  training([2, 3, 2, 2], { attributes: { training_mode: 1, momentum: { float: 0 } } }),
  training([2, 2, 2, 2], { attributes: { training_mode: 1, epsilon: { float: 0.1 } } }),
  training([2, 2, 3], { constants: [1, 2, 3, 4] }),
  training([2, 2, 3], { constants: [0, 1, 3, 4] }),
  training([3, 2, 2], { dtype: 'float64' }),
  fixed([4, 3]),
  fixed([2, 3, 2, 2]),
  fixed([2, 2, 3], { constants: [0, 3, 4] }),
  fixed([2, 2, 3], { constants: [1, 2, 3, 4] }),
  fixed([2, 2, 2, 2, 2], { dtype: 'float64' }),
];

const layer = (x: readonly number[], axis: number, rest: Partial<Case> = {}): Case => {
  const shape = x.slice(axis);
  return {
    op: 'LayerNormalization',
    operands: [x, shape, shape],
    attributes: { axis },
    ...rest,
  };
};

const LAYER: readonly Case[] = [
  layer([3, 5], -1),
  layer([2, 3, 4], -1),
  layer([2, 3, 4], 1),
  layer([2, 3, 4], 0),
  layer([2, 2, 3, 2], 2, { attributes: { axis: 2, epsilon: { float: 0.1 } } }),
  layer([2, 3, 4], -1, { operands: [[2, 3, 4], [4]] }),
  layer([2, 3, 4], -1, { constants: [1, 2] }),
  layer([2, 3, 4], -1, { constants: [0] }),
  layer([2, 3, 4], -1, { attributes: {}, outputs: 3, targets: [0, 1, 2] }),
  layer([2, 3, 4], -1, { attributes: {}, outputs: 3, targets: [2] }),
  layer([3, 4], -1, { dtype: 'float64' }),
  layer([2, 3, 2], 1, { dtype: 'float64' }),
];

const instance = (x: readonly number[], rest: Partial<Case> = {}): Case => ({
  op: 'InstanceNormalization',
  operands: [x, [x[1]!], [x[1]!]],
  attributes: { epsilon: { float: 0.01 } },
  ...rest,
});

const group = (x: readonly number[], num_groups: number, rest: Partial<Case> = {}): Case => ({
  op: 'GroupNormalization',
  operands: [x, [num_groups], [num_groups]],
  attributes: { num_groups },
  ...rest,
});

const GROUP: readonly Case[] = [
  instance([2, 3, 4]),
  instance([2, 2, 3, 2]),
  instance([2, 2, 2, 2, 2]),
  instance([2, 3, 4], { constants: [1, 2] }),
  instance([2, 3, 4], { constants: [0] }),
  instance([2, 3, 4], { constants: [0, 1] }),
  group([2, 4, 3], 2),
  group([2, 4, 2, 2], 1),
  group([2, 3, 2, 2], 3, { attributes: { num_groups: 3, epsilon: { float: 0.1 } } }),
  group([2, 4, 2, 2], 2, { constants: [1, 2] }),
];

const LOCAL: readonly Case[] = [
  ...[1, 3, 5].map((size) => ({
    op: 'LRN',
    operands: [[2, 4, 2, 2]],
    attributes: { size, alpha: { float: 0.5 }, beta: { float: 0.6 }, bias: { float: 1.5 } },
  })),
  { op: 'LRN', operands: [[2, 3, 2, 1]], attributes: { size: 3 } },
  { op: 'LpNormalization', operands: [[2, 3, 2]] },
  { op: 'LpNormalization', operands: [[2, 3, 2]], attributes: { axis: 1, p: 2 } },
  { op: 'LpNormalization', operands: [[2, 3, 2]], attributes: { axis: 0, p: 1 }, kinks: [0] },
  { op: 'LpNormalization', operands: [[2, 4]], attributes: { axis: -1, p: 1 }, kinks: [0] },
  { op: 'LpNormalization', operands: [[2, 4]], dtype: 'float64' },
  { op: 'MeanVarianceNormalization', operands: [[2, 3, 2, 2]] },
  { op: 'MeanVarianceNormalization', operands: [[2, 3, 2, 2]], attributes: { axes: [1, 2, 3] } },
  { op: 'MeanVarianceNormalization', operands: [[2, 3, 2, 2]], attributes: { axes: [2, 3] } },
];

/** Normalisations over the batch, over rows, groups and windows. */
export const NORMALISATION: readonly Case[] = [...BATCH, ...LAYER, ...GROUP, ...LOCAL];
