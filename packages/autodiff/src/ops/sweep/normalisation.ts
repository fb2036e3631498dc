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

/** Normalisations over the batch, over rows, groups and windows. */
export const NORMALISATION: readonly Case[] = [...BATCH];
