import { describe, expect, test } from '@jest/globals';
import { exportModel } from '../../export.ts';
import { Builder } from '../../graph/builder.ts';
import { readModel } from '../../model.ts';
import { floatTensor, intTensor } from '../../graph/tensor.ts';
import { infer } from '../../ops/registry.ts';
import { decodeModel, encodeModel } from '../codec.ts';
import { writeModel } from '../writer.ts';
import { batchNorm, difference, modelAt, run, SIZES, upgraded, wave, type Form } from './form.ts';

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
    expect(difference(ours, await run(modelAt(18, same), sizes, ['y']))).toBeLessThan(1e-4);
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

test('Scan of operator set 8 runs over the batch it was given', async () => {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', [2, 3, 4]);
  const start = b.constant(wave(2, 4), 'start');
  const body = b.subgraph();
  const sum = body.op('Add', [
    body.input('sum', 'float32', [4]),
    body.input('row', 'float32', [4]),
  ]);
  const graph = body.graph('body', [
    body.named(sum, 'next'),
    body.named(body.op('Neg', [sum]), 'each'),
  ]);
  const settings = { body: graph, num_scan_inputs: 1, directions: [1] };
  const made = b.many('Scan', [undefined, start, x], settings, 2, 'scan');
  const outputs = made.map((value) => b.adopt({ ...value, dtype: 'float32', shape: undefined }));
  const file = writeModel(b.graph('scan', outputs), { producer: 'test', version: '1' });
  const proto = decodeModel(file);
  proto.opsetImport = [{ domain: '', version: 8 as never }];
  const bytes = encodeModel(proto);
  const names = outputs.map(({ name }) => name);
  const theirs = await run(bytes, [2, 3, 4], names);
  expect(difference(await run(upgraded(bytes), [2, 3, 4], names), theirs)).toBeLessThan(1e-5);
});

test('what is exported from operator set 6 runs, with the weights it was given', async () => {
  const form: Form = { op: 'Mul', more: [wave(3)], attributes: { broadcast: 1, axis: 1 } };
  const exported = exportModel(modelAt(6, form), Float32Array.of(1, -2, 3));
  const same = modelAt(18, { op: 'Mul', more: [floatTensor([3, 1, 1], [1, -2, 3])] });
  const theirs = await run(same, SIZES, ['y']);
  expect(difference(await run(exported, SIZES, ['y']), theirs)).toBeLessThan(1e-5);
});
