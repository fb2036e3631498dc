import { describe, expect, test } from '@jest/globals';
import { boolTensor, intTensor } from '../../graph/tensor.ts';
import {
  batchNorm,
  difference,
  floats,
  modelAt,
  run,
  SIZES,
  upgraded,
  wave,
  type Form,
} from './form.ts';

const FORMS: readonly (readonly [number, string, Form])[] = [
  [13, 'mean', { op: 'ReduceMean', attributes: { axes: [1], keepdims: 0 } }],
  [7, 'sum', { op: 'ReduceSum', attributes: { axes: [1, -1] } }],
  [11, 'norm', { op: 'ReduceL2', attributes: { axes: [-1] } }],
  [13, 'maximum', { op: 'ReduceMax', attributes: { axes: [0], keepdims: 0 } }],
  [13, 'product of all', { op: 'ReduceProd' }],
  [20, 'Gelu', { op: 'Gelu' }],
  [20, 'tanh Gelu', { op: 'Gelu', attributes: { approximate: 'tanh' } }],
  [19, 'Cast', { op: 'Cast', attributes: { to: 1, saturate: 1 } }],
  [24, 'Swish', { op: 'Swish', attributes: { alpha: { float: 1.5 } } }],
  [7, 'Clip', { op: 'Clip', attributes: { min: { float: -0.5 }, max: { float: 1 } } }],
  [7, 'Clip from below', { op: 'Clip', attributes: { min: { float: -0.5 } } }],
  [7, 'Dropout', { op: 'Dropout', attributes: { ratio: { float: 0.3 } } }],
  [10, 'Dropout', { op: 'Dropout' }],
  [7, 'Pad', { op: 'Pad', attributes: { pads: [0, 0, 1, 0, 0, 0, 2, 1], value: { float: 3 } } }],
  [
    9,
    'reflecting Pad',
    { op: 'Pad', attributes: { pads: [0, 0, 1, 1, 0, 0, 1, 1], mode: 'reflect' } },
  ],
  [7, 'Slice', { op: 'Slice', attributes: { starts: [1, 0], ends: [3, -1], axes: [2, 3] } }],
  [
    9,
    'Slice to the end',
    // As PyTorch writes an open end; 2^63 − 1 is no number that JavaScript counts with.
    { op: 'Slice', attributes: { starts: [1], ends: [2 ** 63], axes: [1] } },
  ],
  [9, 'Slice without axes', { op: 'Slice', attributes: { starts: [0, 1], ends: [1, 9] } }],
  [7, 'TopK', { op: 'TopK', attributes: { k: 2 }, outputs: 2, second: 'int64' }],
  [11, 'Squeeze', { op: 'Squeeze', x: [1, 3, 1], attributes: { axes: [0] } }],
  [11, 'Unsqueeze', { op: 'Unsqueeze', attributes: { axes: [0, 3] } }],
  [11, 'Split', { op: 'Split', attributes: { axis: 1, split: [1, 2] }, outputs: 2 }],
  [13, 'equal Split', { op: 'Split', attributes: { axis: 3 }, outputs: 2 }],
  [7, 'Softmax over all behind', { op: 'Softmax' }],
  [11, 'LogSoftmax', { op: 'LogSoftmax', attributes: { axis: 2 } }],
  [11, 'Softmax along the last axis', { op: 'Softmax', attributes: { axis: 3 } }],
  [11, 'Hardmax', { op: 'Hardmax', attributes: { axis: 1 } }],
  [11, 'Softmax of any batch', { op: 'Softmax', x: ['batch', 3, 4], attributes: { axis: 1 } }],
  [7, 'BatchNormalization', { op: 'BatchNormalization', more: batchNorm }],
  [9, 'BatchNormalization', { op: 'BatchNormalization', more: batchNorm }],
  [
    7,
    'Upsample',
    { op: 'Upsample', attributes: { mode: 'nearest', scales: { floats: [1, 1, 2, 2] } } },
  ],
  [9, 'Upsample', { op: 'Upsample', more: [floats(1, 1, 2, 3)] }],
  [
    9,
    'linear Upsample',
    { op: 'Upsample', more: [floats(1, 1, 2, 2)], attributes: { mode: 'linear' } },
  ],
  [10, 'Resize', { op: 'Resize', more: [floats(1, 1, 2.5, 2)] }],
  [10, 'shrinking Resize', { op: 'Resize', more: [floats(1, 1, 0.6, 0.5)] }],
  [
    10,
    'linear Resize',
    { op: 'Resize', more: [floats(1, 1, 1.5, 2)], attributes: { mode: 'linear' } },
  ],
  [
    11,
    'Resize to sizes',
    { op: 'Resize', more: [floats(), floats(), intTensor([4], [2, 3, 6, 8])] },
  ],
  [
    11,
    'Resize by scales',
    { op: 'Resize', more: [floats(), floats(1, 1, 2, 2)], attributes: { mode: 'linear' } },
  ],
  [9, 'Scatter', { op: 'Scatter', x: [3], more: [intTensor([2], [2, 0]), floats(5, 6)] }],
  [
    21,
    'GroupNormalization',
    {
      op: 'GroupNormalization',
      x: [2, 4, 5],
      more: [wave(4), wave(4)],
      attributes: { num_groups: 2 },
    },
  ],
  [23, 'RMSNormalization', { op: 'RMSNormalization', more: [wave(4)] }],
  [
    23,
    'RMSNormalization of two axes',
    { op: 'RMSNormalization', more: [wave(4, 4)], attributes: { axis: 2 } },
  ],
  [
    19,
    'spaced AveragePool',
    {
      op: 'AveragePool',
      x: [2, 3, 7, 7],
      attributes: { kernel_shape: [2, 2], dilations: [2, 2], pads: [1, 0, 1, 1], strides: [1, 2] },
    },
  ],
  [
    19,
    'spaced AveragePool with its border',
    {
      op: 'AveragePool',
      x: [2, 3, 7, 7],
      attributes: {
        kernel_shape: [2, 2],
        dilations: [2, 1],
        pads: [1, 1, 1, 1],
        count_include_pad: 1,
      },
    },
  ],
  [
    23,
    'Attention',
    {
      op: 'Attention',
      x: [2, 3, 8],
      more: [wave(2, 5, 8), wave(2, 5, 8)],
      attributes: { q_num_heads: 2, kv_num_heads: 2 },
    },
  ],
  [
    23,
    'Attention of heads',
    {
      op: 'Attention',
      x: [2, 4, 3, 8],
      more: [wave(2, 2, 5, 8), wave(2, 2, 5, 8), wave(3, 5)],
      attributes: { softcap: { float: 2 }, scale: { float: 0.7 } },
    },
  ],
  [
    23,
    'Attention before its place',
    {
      op: 'Attention',
      x: [2, 5, 8],
      more: [wave(2, 5, 4), wave(2, 5, 4)],
      attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
    },
  ],
  [
    23,
    'masked Attention',
    {
      op: 'Attention',
      x: [1, 1, 2, 4],
      more: [
        wave(1, 1, 3, 4),
        wave(1, 1, 3, 4),
        boolTensor([2, 3], [true, false, true, true, true, false]),
      ],
    },
  ],
  [
    23,
    'Attention with a past',
    {
      op: 'Attention',
      x: [1, 1, 2, 4],
      more: [wave(1, 1, 2, 4), wave(1, 1, 2, 4), undefined, wave(1, 1, 3, 4), wave(1, 1, 3, 4)],
      outputs: 3,
    },
  ],
  [
    23,
    'RotaryEmbedding',
    {
      op: 'RotaryEmbedding',
      x: [2, 3, 4, 8],
      more: [wave(6, 4), wave(6, 4), intTensor([2, 4], [0, 1, 2, 3, 2, 3, 4, 5])],
    },
  ],
  [
    23,
    'interleaved RotaryEmbedding',
    {
      op: 'RotaryEmbedding',
      x: [2, 4, 12],
      more: [wave(2, 4, 2), wave(2, 4, 2)],
      attributes: { num_heads: 3, interleaved: 1 },
    },
  ],
  [
    23,
    'partial RotaryEmbedding',
    {
      op: 'RotaryEmbedding',
      x: [2, 3, 4, 8],
      more: [wave(2, 4, 2), wave(2, 4, 2)],
      attributes: { rotary_embedding_dim: 4 },
    },
  ],
];

describe('a node of another operator set gives in 18 what it gave', () => {
  test.each(FORMS)('%i: %s', async (version, _, form) => {
    const bytes = modelAt(version, form);
    const sizes = (form.x ?? SIZES).map((size) => (typeof size === 'number' ? size : 2));
    const names = Array.from({ length: form.outputs ?? 1 }, (_, i) => (i === 0 ? 'y' : `y${i}`));
    const [ours, theirs] = [
      await run(upgraded(bytes), sizes, names),
      await run(bytes, sizes, names),
    ];
    expect(difference(ours, theirs)).toBeLessThan(1e-4);
  });
});
