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

/** Pools over one, two and three axes with every attribute. */
export const POOLS: readonly Case[] = [...MAX, ...UNPOOL];
