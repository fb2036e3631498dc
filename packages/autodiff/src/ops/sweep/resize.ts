import { floatTensor } from '../../graph/tensor.ts';
import type { AttributeInput } from '../../graph/graph.ts';
import { ints, type Case } from './case.ts';

type Attributes = Readonly<Record<string, AttributeInput>>;

const byScale = (
  x: readonly number[],
  scales: readonly number[],
  attributes: Attributes = {},
): Case => ({
  op: 'Resize',
  operands: [x, undefined, floatTensor([scales.length], scales)],
  attributes,
});

const bySize = (
  x: readonly number[],
  sizes: readonly number[],
  attributes: Attributes = {},
): Case => ({ op: 'Resize', operands: [x, undefined, undefined, ints(...sizes)], attributes });

const COORDINATES = [
  'half_pixel',
  'half_pixel_symmetric',
  'pytorch_half_pixel',
  'align_corners',
  'asymmetric',
];

const NEAREST: readonly Case[] = [
  ...COORDINATES.flatMap((coordinate_transformation_mode) =>
    ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((nearest_mode) =>
      byScale([2, 1, 3, 2], [1, 1, 2, 3], { coordinate_transformation_mode, nearest_mode }),
    ),
  ),
  byScale([2, 1, 5, 4], [1, 1, 0.6, 0.5]),
  byScale([2, 2, 3], [1, 1, 2.5], { coordinate_transformation_mode: 'asymmetric' }),
  byScale([1, 2, 2, 2, 2], [1, 1, 2, 1, 2]),
  bySize([2, 1, 4, 3], [2, 1, 7, 2]),
];

const SMOOTH: readonly Case[] = ['linear', 'cubic'].flatMap((mode) => [
  ...COORDINATES.flatMap((coordinate_transformation_mode) => [
    byScale([1, 2, 3, 4], [1, 1, 2, 1.6], { mode, coordinate_transformation_mode }),
    bySize([1, 2, 5, 4], [1, 2, 3, 7], { mode, coordinate_transformation_mode }),
  ]),
  byScale([1, 2, 4, 4], [0.5, 1.5], { mode, axes: [2, 3] }),
  bySize([1, 2, 4, 4], [6, 3], { mode, axes: [-1, 2] }),
  byScale([1, 2, 6, 5], [1, 1, 0.5, 0.6], { mode, antialias: 1 }),
  bySize([1, 1, 6, 5], [1, 1, 3, 5], { mode, antialias: 1, exclude_outside: 1 }),
]);

const CUBIC: readonly Case[] = [
  byScale([1, 1, 3, 4], [1, 1, 2, 2], { mode: 'cubic', exclude_outside: 1 }),
  byScale([1, 1, 3, 4], [1, 1, 2, 2], { mode: 'cubic', cubic_coeff_a: { float: -0.5 } }),
];

const LINEAR: readonly Case[] = [
  byScale([2, 2, 4], [1, 1, 2], { mode: 'linear' }),
  byScale([1, 2, 2, 3, 2], [1, 1, 2, 1.5, 2], { mode: 'linear' }),
  bySize([1, 1, 3, 2, 3], [1, 1, 2, 4, 5], {
    mode: 'linear',
    coordinate_transformation_mode: 'align_corners',
  }),
];

const DEPTH: readonly Case[] = [
  { op: 'SpaceToDepth', operands: [[2, 3, 4, 6]], attributes: { blocksize: 2 } },
  { op: 'DepthToSpace', operands: [[2, 8, 2, 3]], attributes: { blocksize: 2 } },
  { op: 'DepthToSpace', operands: [[2, 8, 2, 3]], attributes: { blocksize: 2, mode: 'CRD' } },
  { op: 'DepthToSpace', operands: [[1, 9, 1, 2]], attributes: { blocksize: 3, mode: 'CRD' } },
];

/** Interpolation in every mode, and the exchange of channels for positions. */
export const RESAMPLING: readonly Case[] = [...NEAREST, ...SMOOTH, ...CUBIC, ...LINEAR, ...DEPTH];
