import { describe, expect, test } from '@jest/globals';
import { Builder } from '../graph/builder.ts';
import type { DType } from '../graph/dtype.ts';
import {
  attributes as toAttributes,
  type Attribute,
  type AttributeInput,
  type Attributes,
  type Graph,
  type Value,
} from '../graph/graph.ts';
import { boolTensor, floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';
import { readModel } from '../model.ts';
import { infer } from '../ops/registry.ts';
import { Session, type RuntimeTensor } from '../session.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { writeModel } from './writer.ts';

interface Form {
  readonly op: string;
  /** Sizes of the float input x; `batch` at run time is 2. */
  readonly x?: readonly (number | string)[];
  /** Further inputs, as initializers; undefined for one that is not given. */
  readonly more?: readonly (Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput | Floats>>;
  readonly outputs?: number;
  /** Type of the second output. */
  readonly second?: DType;
}

const SIZES = [2, 3, 4, 4] as const;

/** y = op(x, …) stamped with an operator set. */
function modelAt(version: number, form: Form): Uint8Array {
  const b = new Builder(infer);
  b.input('x', 'float32', form.x ?? SIZES);
  const more = (form.more ?? []).map((tensor, i) =>
    tensor === undefined ? undefined : b.constant(tensor, `w${i}`),
  );
  const names = Array.from({ length: form.outputs ?? 1 }, (_, i) => (i === 0 ? 'y' : `y${i}`));
  b.nodes.push({
    op: form.op,
    domain: '',
    name: 'node',
    inputs: ['x', ...more.map((value) => value?.name ?? '')],
    outputs: names,
    attributes: attributesOf(form.attributes ?? {}),
  });
  const outputs: Value[] = names.map((name, i) => ({
    name,
    dtype: i === 1 ? (form.second ?? 'float32') : 'float32',
    shape: undefined,
  }));
  const proto = decodeModel(
    writeModel(b.graph('node', outputs), { producer: 'test', version: '1' }),
  );
  proto.opsetImport = [{ domain: '', version: version as never }];
  return encodeModel(proto);
}

/** Attributes by the builder's shorthand, and lists of floats. */
function attributesOf(input: Readonly<Record<string, AttributeInput | Floats>>): Attributes {
  const entries = Object.entries(input).map(([name, value]): readonly [string, Attribute] =>
    typeof value === 'object' && 'floats' in value
      ? [name, { kind: 'floats', value: value.floats }]
      : [name, toAttributes({ [name]: value }).get(name)!],
  );
  return new Map(entries);
}

interface Floats {
  readonly floats: readonly number[];
}

/** The model at operator set 18, as a file. */
function upgraded(bytes: Uint8Array): Uint8Array {
  const { graph, constants } = readModel(bytes);
  const whole: Graph = {
    ...graph,
    initializers: new Map([...graph.initializers, ...constants]),
  };
  return writeModel(whole, { producer: 'test', version: '1' });
}

async function run(bytes: Uint8Array, x: readonly number[], names: readonly string[]) {
  const session = await Session.open(bytes);
  const count = x.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7) * 2);
  const results = await session.run({ x: { dtype: 'float32', dims: x, data } }, names);
  await session.close();
  return names.map((name) => plain(results[name]!));
}

const plain = ({ dims, data }: RuntimeTensor) => ({ dims: [...dims], data: [...data].map(Number) });

function expectSame(
  ours: readonly ReturnType<typeof plain>[],
  theirs: readonly ReturnType<typeof plain>[],
): void {
  ours.forEach(({ dims, data }, i) => {
    expect(dims).toEqual(theirs[i]!.dims);
    data.forEach((value, at) => expect(value).toBeCloseTo(theirs[i]!.data[at]!, 4));
  });
}

const floats = (...values: number[]): Tensor => floatTensor([values.length], values);
const wave = (...dims: number[]): Tensor => {
  const count = dims.reduce((product, size) => product * size, 1);
  return floatTensor(
    dims,
    Float32Array.from({ length: count }, (_, i) => Math.cos(i * 0.9)),
  );
};
const batchNorm = [floats(1, 2, 3), floats(0, 1, -1), floats(0.1, 0.2, 0.3), floats(1, 2, 0.5)];

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
    expectSame(await run(upgraded(bytes), sizes, names), await run(bytes, sizes, names));
  });
});

/** Forms that the runtime cannot load: compared with what the operator's documentation says. */
const BY_HAND: readonly (readonly [number, string, Form, Form])[] = [
  [
    6,
    'Add along an axis',
    { op: 'Add', more: [wave(3)], attributes: { broadcast: 1, axis: 1 } },
    { op: 'Add', more: [wave(3, 1, 1)] },
  ],
  [
    6,
    'Mul along the last axes',
    { op: 'Mul', more: [wave(4, 4)], attributes: { broadcast: 1 } },
    { op: 'Mul', more: [wave(4, 4)] },
  ],
  [
    6,
    'Sub along two axes',
    { op: 'Sub', more: [wave(3, 4)], attributes: { broadcast: 1, axis: 1 } },
    { op: 'Sub', more: [wave(3, 4, 1)] },
  ],
  [
    6,
    'Pow',
    { op: 'Pow', more: [floatTensor([], [2])], attributes: { broadcast: 1 } },
    { op: 'Pow', more: [floatTensor([], [2])] },
  ],
  [
    6,
    'Gemm',
    { op: 'Gemm', x: [2, 3], more: [wave(3, 4), wave(4)], attributes: { broadcast: 1 } },
    { op: 'Gemm', x: [2, 3], more: [wave(3, 4), wave(4)] },
  ],
  [6, 'PRelu', { op: 'PRelu', more: [wave(3)] }, { op: 'PRelu', more: [wave(3, 1, 1)] }],
  [
    6,
    'Dropout in use',
    { op: 'Dropout', attributes: { is_test: 1, ratio: { float: 0.5 } } },
    { op: 'Identity' },
  ],
  [
    6,
    'BatchNormalization',
    {
      op: 'BatchNormalization',
      more: batchNorm,
      attributes: { is_test: 1, consumed_inputs: [0, 0, 0, 1, 1] },
    },
    { op: 'BatchNormalization', more: batchNorm },
  ],
  [6, 'Reshape', { op: 'Reshape', more: [intTensor([2], [2, -1])] }, { op: 'Flatten' }],
  [
    6,
    'AveragePool',
    { op: 'AveragePool', attributes: { kernel_shape: [2, 2] } },
    { op: 'AveragePool', attributes: { kernel_shape: [2, 2] } },
  ],
  [
    6,
    'Sum',
    { op: 'Sum', more: [wave(...SIZES)], attributes: { consumed_inputs: [0, 0] } },
    { op: 'Add', more: [wave(...SIZES)] },
  ],
  [6, 'Cast by name', { op: 'Cast', attributes: { to: 'FLOAT' } }, { op: 'Identity' }],
  [
    6,
    'Affine',
    { op: 'Affine', attributes: { alpha: { float: 2 } } },
    { op: 'Mul', more: [floatTensor([], [2])] },
  ],
  [
    6,
    'ConstantFill',
    { op: 'ConstantFill', attributes: { value: { float: 0 }, dtype: 1 } },
    { op: 'Mul', more: [floatTensor([], [0])] },
  ],
];

describe('a node that the runtime no longer loads gives in 18 what it was documented to give', () => {
  test.each(BY_HAND)('%i: %s', async (version, _, form, same) => {
    const sizes = (form.x ?? SIZES).map(Number);
    const ours = await run(upgraded(modelAt(version, form)), sizes, ['y']);
    expectSame(ours, await run(modelAt(18, same), sizes, ['y']));
  });

  test('in training Dropout of operator set 6 trains, and BatchNormalization keeps its statistics', () => {
    const dropout = readModel(modelAt(6, { op: 'Dropout' })).graph.nodes.at(-1)!;
    expect(dropout.inputs).toHaveLength(2);
    const trained = { is_test: 0, ratio: { float: 0.5 } };
    const training = readModel(modelAt(6, { op: 'Dropout', attributes: trained }));
    expect(training.graph.nodes.at(-1)!.inputs).toHaveLength(3);
    const norm = { op: 'BatchNormalization', more: batchNorm, outputs: 5 };
    const [node] = readModel(modelAt(9, norm)).graph.nodes;
    expect(node!.outputs).toEqual(['y', 'y1', 'y2']);
    expect(node!.attributes.get('training_mode')).toEqual({ kind: 'int', value: 1 });
  });

  test('statistics of each place are applied to each place', async () => {
    const more = [1, 2, 3, 4].map(() => floatTensor([3, 4, 4], new Float32Array(48).fill(1)));
    const form = {
      op: 'BatchNormalization',
      more,
      attributes: { spatial: 0, epsilon: { float: 0 } },
    };
    const [ours] = await run(upgraded(modelAt(7, form)), SIZES, ['y']);
    const [x] = await run(modelAt(18, { op: 'Identity' }), SIZES, ['y']);
    expect(ours!.data[5]).toBeCloseTo(x!.data[5]! - 1 + 1, 5);
  });
});
