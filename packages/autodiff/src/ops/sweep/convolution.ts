import type { AttributeInput } from '../../graph/graph.ts';
import type { Case } from './case.ts';

type Attributes = Readonly<Record<string, AttributeInput>>;
type Shape = readonly number[];

const of =
  (op: string) =>
  (x: Shape, w: Shape, attributes: Attributes = {}, bias?: number): Case => ({
    op,
    operands: bias === undefined ? [x, w] : [x, w, [bias]],
    attributes,
  });

const conv = of('Conv');

const CONV: readonly Case[] = [
  conv([2, 2, 5, 4], [3, 2, 3, 3], { pads: [1, 1, 1, 1] }, 3),
  conv([2, 2, 5, 4], [3, 2, 3, 3], { kernel_shape: [3, 3] }, 3),
  // One axis and three, with steps that differ.
  conv([2, 2, 7], [3, 2, 3], { pads: [1, 1] }, 3),
  conv([2, 2, 9], [2, 2, 3], { strides: [3], dilations: [2], pads: [2, 1] }),
  conv([1, 2, 4, 3, 5], [2, 2, 2, 1, 3], { strides: [1, 2, 2], pads: [1, 0, 1, 0, 0, 1] }, 2),
  conv([1, 1, 3, 4, 3], [2, 1, 2, 2, 2], { dilations: [1, 2, 1] }),
  // Steps that do not reach the end of the input, and unequal padding.
  conv([2, 2, 6, 7], [3, 2, 3, 2], { strides: [2, 3], pads: [1, 0, 0, 2] }),
  conv([2, 1, 8, 8], [2, 1, 3, 3], { strides: [3, 2], dilations: [1, 2] }),
  conv([1, 2, 6, 6], [2, 2, 2, 3], { dilations: [2, 2], pads: [1, 2, 1, 2] }),
  // Groups, each channel alone, and several filters for each channel.
  conv([2, 4, 4, 4], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }, 6),
  conv([2, 4, 5, 5], [4, 1, 3, 3], { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] }, 4),
  conv([2, 3, 4, 4], [6, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }, 6),
  conv([2, 8, 4], [4, 2, 3], { group: 4, dilations: [2], pads: [2, 2] }),
  // Single positions, with and without steps.
  conv([2, 3, 3, 3], [4, 3, 1, 1], {}, 4),
  conv([2, 3, 5, 4], [4, 3, 1, 1], { strides: [2, 2] }),
  conv([2, 4, 3], [4, 2, 1], { group: 2 }),
  conv([1, 1, 3, 3], [2, 1, 1, 1], { pads: [1, 1, 1, 1] }),
  // Large kernels of few channels, as first layers have them.
  conv([2, 1, 9, 9], [2, 1, 7, 7], { strides: [2, 2], pads: [3, 3, 3, 3] }),
  conv([1, 1, 8, 6], [2, 1, 5, 5], { pads: [2, 2, 2, 2] }),
  // Many channels: the wide formulas.
  conv([1, 16, 3, 3], [2, 16, 3, 3], { pads: [1, 1, 1, 1] }),
  conv([2, 24, 3], [2, 24, 9], { pads: [4, 4] }),
  conv([1, 24, 10, 9], [1, 24, 3, 3], {}),
  conv([1, 16, 10, 10], [2, 16, 3, 3], { pads: [1, 0, 2, 1] }),
  conv([1, 32, 10, 10], [4, 16, 2, 3], { group: 2, dilations: [2, 1], pads: [1, 1, 2, 0] }),
  conv([2, 3, 4, 4], [3, 1, 3, 3], { group: 3, pads: [0, 1, 2, 1] }),
  conv([1, 1, 12, 12], [1, 1, 12, 11], {}),
  // Padding that follows from the sizes.
  conv([2, 2, 5, 6], [2, 2, 3, 2], { kernel_shape: [3, 2], auto_pad: 'SAME_UPPER' }, 2),
  conv([2, 2, 5, 6], [2, 2, 3, 2], { kernel_shape: [3, 2], auto_pad: 'SAME_LOWER' }),
  conv([2, 2, 6, 5], [2, 2, 3, 4], {
    kernel_shape: [3, 4],
    auto_pad: 'SAME_UPPER',
    strides: [2, 3],
  }),
  conv([2, 2, 6, 5], [2, 2, 3, 4], {
    kernel_shape: [3, 4],
    auto_pad: 'SAME_LOWER',
    strides: [2, 3],
  }),
  conv([2, 2, 7], [2, 2, 2], { auto_pad: 'SAME_UPPER', strides: [3], kernel_shape: [2] }),
  conv([2, 2, 5, 5], [2, 2, 3, 3], { auto_pad: 'VALID', strides: [2, 1] }),
];

const turn = of('ConvTranspose');

const CONV_TRANSPOSE: readonly Case[] = [
  turn([2, 3, 3, 4], [3, 2, 2, 3], {}, 2),
  turn([2, 2, 3, 3], [2, 3, 2, 2], { strides: [2, 2] }, 3),
  turn([2, 2, 3, 3], [2, 2, 3, 3], { strides: [2, 3], pads: [1, 0, 1, 2] }, 2),
  turn([2, 2, 3, 3], [2, 2, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] }),
  turn([2, 2, 3], [2, 2, 2], { strides: [3], dilations: [3], output_padding: [2] }),
  turn([1, 2, 3], [2, 2, 3], { kernel_shape: [3], strides: [3], output_shape: [10] }),
  turn([2, 2, 4], [2, 2, 3], { dilations: [2], pads: [1, 2] }),
  turn([1, 2, 2, 3, 2], [2, 1, 2, 2, 2], { strides: [2, 1, 2] }, 1),
  turn([2, 4, 3, 3], [4, 2, 2, 2], { group: 2, strides: [2, 2] }, 4),
  turn([2, 3, 3, 3], [3, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }, 3),
  turn([2, 3, 3, 3], [3, 2, 1, 1], {}),
  turn([2, 2, 3, 3], [2, 2, 3, 2], { kernel_shape: [3, 2], strides: [2, 2], output_shape: [6, 5] }),
  turn([1, 2, 3], [2, 2, 3], { kernel_shape: [3], strides: [3], output_shape: [8] }, 2),
  turn([2, 2, 3, 3], [2, 2, 3, 3], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    output_shape: [5, 6],
    auto_pad: 'SAME_UPPER',
  }),
  turn([2, 2, 3, 3], [2, 2, 3, 4], {
    kernel_shape: [3, 4],
    strides: [2, 3],
    auto_pad: 'SAME_UPPER',
  }),
  turn([2, 2, 3, 3], [2, 2, 3, 4], {
    kernel_shape: [3, 4],
    strides: [2, 3],
    auto_pad: 'SAME_LOWER',
  }),
  turn([2, 2, 3], [2, 2, 2], { strides: [2], auto_pad: 'VALID' }),
];

/** Convolutions over one, two and three axes with every attribute. */
export const CONVOLUTIONS: readonly Case[] = [...CONV, ...CONV_TRANSPOSE];
