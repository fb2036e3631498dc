import { expect, test } from '@jest/globals';
import { lenet, lstm, perceptron, resnet18 } from '../bench/models.ts';
import { writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import { floatTensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { trainingReport } from './report.ts';
import { reportText } from './text.ts';

const adam = { optimizer: { kind: 'adam' } } as const;

test('counts weights, arithmetic and memory of a perceptron exactly', () => {
  const report = trainingReport(perceptron([30, 64, 1]), adam, { batchSize: 32 });
  const weights = 30 * 64 + 64 + 64 + 1;
  expect(report.parameters.trainable).toEqual({ tensors: 4, elements: weights });
  expect(report.operators).toMatchObject({ Gemm: 2, Relu: 1 });
  const products = 2 * 32 * (30 * 64 + 64);
  expect(report.flopsPerStep).toBe(3 * (products + 32 * 64));
  expect(report.stateBytes).toBe(4 * (2 * weights * 3 + weights));
  expect(report.isPartial).toBe(false);
});

test('counts convolutions, running statistics and recurrent layers', () => {
  const net = trainingReport(lenet(), adam, { batchSize: 1 });
  // First convolution 28·28·6·25, second 10·10·16·150, then the dense layers (multiplications).
  const products = 117_600 + 240_000 + 48_000 + 10_080 + 840;
  expect(net.flopsPerStep).toBeGreaterThan(6 * products);
  expect(net.flopsPerStep).toBeLessThan(6.3 * products);
  const residual = trainingReport(resnet18(), adam, { batchSize: 2 });
  expect(residual.parameters.buffer.elements).toBe(9600);
  expect(residual.activationBytes).toBeGreaterThan(residual.batchSize * 1e6);
  const recurrent = trainingReport(lstm(), adam, { batchSize: 16 });
  expect(recurrent.flopsPerStep).toBeGreaterThan(3 * 2 * 50 * 16 * 4 * 128 * (64 + 128));
});

test('names everything in the way at once, and says so to people', () => {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', ['n', 3]);
  const w = b.constant(floatTensor([3, 3], new Float32Array(9)), 'w');
  const first = b.op('Det', [b.op('MatMul', [x, w])], {}, 'first');
  const bytes = writeModel(b.graph('g', [{ ...first, dtype: 'float32', shape: [] }]), {
    producer: 'test',
    version: '1',
  });
  const report = trainingReport(bytes, adam, { batchSize: 4 });
  expect(report.unsupported.map(({ op }) => op)).toEqual(['Det']);
  expect(reportText(report)).toContain('Det "first"');
  const fine = reportText(trainingReport(perceptron([4, 1]), adam, { batchSize: 2 }));
  expect(fine).toContain('Everything in this model can be trained.');
});
