import { intTensor } from '../../graph/tensor.ts';
import type { AttributeInput } from '../../graph/graph.ts';
import type { Case } from './case.ts';

type Attributes = Readonly<Record<string, AttributeInput>>;

const of =
  (op: string, rest: Partial<Case> = {}) =>
  (x: readonly number[], attributes: Attributes = {}): Case => ({
    op,
    operands: [x],
    attributes,
    ...rest,
  });

// So wide that no two elements come near each other.
const APART = { from: -20, to: 20 };

const max = of('MaxPool', APART);

const MAX: readonly Case[] = [
  max([2, 2, 4, 6], { kernel_shape: [2, 3], strides: [2, 3] }),
  max([2, 2, 5, 7], { kernel_shape: [2, 2], strides: [2, 3] }),
  max([2, 2, 5, 5], { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 0, 0, 1] }),
  max([2, 2, 5, 5], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  max([2, 2, 4, 5], { kernel_shape: [3, 2] }),
  max([2, 2, 7, 7], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  max([1, 2, 6, 6], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }),
  max([1, 1, 7, 6], { kernel_shape: [3, 2], dilations: [2, 2], strides: [1, 2] }),
  max([2, 3, 7], { kernel_shape: [3], strides: [2], pads: [1, 1] }),
  max([1, 2, 4, 4, 3], { kernel_shape: [2, 2, 2], strides: [2, 1, 1] }),
  max([1, 2, 4, 4, 4], { kernel_shape: [2, 2, 2], strides: [2, 2, 2] }),
  max([2, 2, 5, 6], { kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_UPPER' }),
  max([2, 2, 5, 6], { kernel_shape: [3, 2], strides: [2, 2], auto_pad: 'SAME_LOWER' }),
  max([2, 2, 5, 6], { kernel_shape: [2, 2], auto_pad: 'VALID' }),
  max([2, 2, 5, 6], { kernel_shape: [3, 2], storage_order: 1 }),
  {
    ...max([1, 2, 6, 5], { kernel_shape: [2, 2], storage_order: 1, strides: [2, 2] }),
    outputs: 2,
  },
];

const UNPOOL: readonly Case[] = [
  {
    op: 'MaxUnpool',
    operands: [[1, 1, 2, 2], intTensor([1, 1, 2, 2], [0, 3, 9, 14])],
    attributes: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: 'MaxUnpool',
    operands: [[1, 2, 2], intTensor([1, 2, 2], [1, 3, 5, 9]), intTensor([3], [1, 2, 5])],
    attributes: { kernel_shape: [2], strides: [2] },
  },
];

const average = of('AveragePool');
const norm = of('LpPool', { kinks: [0], from: -3, to: 3 });

const AVERAGE: readonly Case[] = [
  average([2, 2, 4, 6], { kernel_shape: [2, 3], strides: [2, 3] }),
  average([2, 2, 4, 5], { kernel_shape: [2, 2], strides: [2, 2] }),
  average([2, 2, 5, 4], { kernel_shape: [3, 2] }),
  average([2, 2, 5, 5], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  ...[0, 1].flatMap((count_include_pad) =>
    [0, 1].map((ceil_mode) =>
      average([2, 1, 6, 7], {
        kernel_shape: [3, 2],
        strides: [2, 2],
        pads: [1, 0, 0, 1],
        count_include_pad,
        ceil_mode,
      }),
    ),
  ),
  average([2, 3, 7], { kernel_shape: [3], strides: [3], pads: [1, 1], count_include_pad: 1 }),
  average([1, 2, 4, 3, 4], { kernel_shape: [2, 2, 2], strides: [2, 1, 2] }),
  average([1, 2, 4, 2, 4], { kernel_shape: [2, 2, 2], strides: [2, 2, 2] }),
  average([2, 2, 5, 6], { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' }),
  average([2, 2, 5, 6], { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_LOWER' }),
  average([2, 2, 5, 6], { kernel_shape: [3, 3], auto_pad: 'VALID' }),
];

const NORM: readonly Case[] = [1, 2, 3].flatMap((p) => [
  norm([2, 1, 4, 5], { kernel_shape: [2, 3], p }),
  norm([2, 2, 6], { kernel_shape: [3], strides: [2], pads: [1, 1], p }),
]);

const GLOBAL: readonly Case[] = [
  ...['GlobalAveragePool', 'GlobalMaxPool'].flatMap((op) => [
    of(op, APART)([2, 3, 3, 4]),
    of(op, APART)([2, 3, 4]),
    of(op, APART)([1, 2, 2, 3, 2]),
  ]),
  ...[1, 2, 3].map((p) => of('GlobalLpPool', { kinks: [0] })([2, 2, 2, 3], { p })),
];

/** Pools over one, two and three axes with every attribute. */
export const POOLS: readonly Case[] = [...MAX, ...UNPOOL, ...AVERAGE, ...NORM, ...GLOBAL];
