import { describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import { floatTensor } from '../../graph/tensor.ts';
import { writeModel } from '../../file/writer.ts';
import { LOSSES, type LossName } from '../../loss/loss.ts';
import { buildMlp } from '../../mlp.ts';
import { infer } from '../../ops/registry.ts';
import { buildTraining } from '../build.ts';
import type { TrainingOptions } from '../manifest.ts';

const rng = seededRng('refusal');
const privacy = { clip: 1, lotSize: 4 };
const loss: TrainingOptions = { loss: 'mse', optimizer: { kind: 'sgd' }, privacy };

type Weight = (name: string, ...shape: number[]) => Value;

function model(rows: string | number, write: (b: Builder, x: Value, weight: Weight) => Value) {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', [rows, 6]);
  const weight: Weight = (name, ...shape) => {
    const count = shape.reduce((n, dim) => n * dim, 1);
    const values = Float32Array.from({ length: count }, () => uniformReal(rng));
    return b.constant(floatTensor(shape, values), name);
  };
  const output = b.named(write(b, x, weight), 'output');
  return writeModel(b.graph('model', [output]), { producer: 'test', version: '1' });
}

const methodOf = (bytes: Uint8Array): string | undefined =>
  buildTraining(bytes, loss).manifest.privacy?.method;

function codeOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'none';
}

describe('clipping by example', () => {
  const batchNorm = model('batch', (b, x, weight) => {
    const hidden = b.op('Gemm', [x, weight('w', 6, 4), weight('b', 4)]);
    const settings = [weight('mean', 4), weight('variance', 4)];
    const normal = b.op('BatchNormalization', [
      hidden,
      weight('s', 4),
      weight('t', 4),
      ...settings,
    ]);
    return b.op('Gemm', [normal, weight('v', 4, 2)]);
  });

  test('refuses normalisation by the batch, and takes it with fixed statistics', () => {
    const train = (): unknown => buildTraining(batchNorm, { ...loss, batchNorm: 'train' });
    expect(codeOf(train)).toBe('TRAINING_PRIVACY_BATCHNORM');
    const frozen = buildTraining(batchNorm, { ...loss, batchNorm: 'frozen' });
    expect(frozen.manifest.privacy?.method).toBe('ghost');
  });

  test('refuses a model of several rows where it must take one', () => {
    const cut = model(4, (b, x, weight) => {
      const centred = b.op('Sub', [x, b.op('ReduceMean', [x, b.ints([0])], { keepdims: 1 })]);
      return b.op('Gemm', [centred, weight('w', 6, 2)]);
    });
    expect(codeOf(() => methodOf(cut))).toBe('TRAINING_PRIVACY_ROWS');
  });
});

describe('losses and privacy', () => {
  const outputs: Partial<Record<LossName, number>> = { cox: 1, gaussian_nll: 2 };
  const perceptron = (width: number): Uint8Array =>
    buildMlp({ features: 3, hidden: [], outputs: width, activation: 'relu', seed: 'm' });
  const pairs = model('batch', (b, x, weight) =>
    b.op('Reshape', [b.op('MatMul', [x, weight('w', 6, 8)]), b.ints([0, 2, 4])]),
  );

  test.each(LOSSES)('%s is refused if and only if it compares examples', (name) => {
    const bytes = name === 'cosine_embedding' ? pairs : perceptron(outputs[name] ?? 4);
    const code = codeOf(() => buildTraining(bytes, { ...loss, loss: name }));
    expect(code).toBe(name === 'cox' ? 'TRAINING_PRIVACY_LOSS' : 'none');
  });

  test('an overlap is refused over the batch', () => {
    const options = { ...loss, loss: { kind: 'dice', over: 'batch' } as const };
    expect(codeOf(() => buildTraining(perceptron(4), options))).toBe('TRAINING_PRIVACY_LOSS');
  });
});

describe('rows are found to be mixed by', () => {
  const sums: Readonly<Record<string, (b: Builder, x: Value) => Value>> = {
    'a mean over them': (b, x) =>
      b.op('Sub', [x, b.op('ReduceMean', [x, b.ints([0])], { keepdims: 1 })]),
    'a largest value that no gradient passes': (b, x) =>
      b.op('Div', [x, b.op('ReduceMax', [b.op('Floor', [x])], { keepdims: 0 })]),
    'a softmax over them': (b, x) => b.op('Softmax', [x], { axis: 0 }),
    'a product with themselves': (b, x) =>
      b.op('MatMul', [b.op('MatMul', [x, b.op('Transpose', [x])]), x]),
    'a shape that moves them': (b, x) =>
      b.adopt({
        ...b.op('Reshape', [b.op('Transpose', [x]), b.ints([-1, 6])]),
        shape: ['batch', 6],
      }),
    'turning their order': (b, x) =>
      b.op('Slice', [x, b.ints([-1]), b.ints([-9999]), b.ints([0]), b.ints([-1])]),
    'their number as a factor': (b, x) =>
      b.op('Mul', [x, b.op('Cast', [b.op('Shape', [x], { start: 0, end: 1 })], { to: 1 })]),
  };

  test.each(Object.keys(sums))('%s', (name) => {
    const bytes = model('batch', (b, x, weight) =>
      b.op('Gemm', [sums[name]!(b, x), weight('w', 6, 2)]),
    );
    expect(methodOf(bytes)).toBe('loop');
  });

  const apart: Readonly<Record<string, (b: Builder, x: Value) => Value>> = {
    'a shape that keeps them': (b, x) =>
      b.op('Reshape', [b.op('Reshape', [x, b.ints([0, 3, 2])]), b.ints([-1, 6])]),
    'their number as a size': (b, x) => {
      const rows = b.op('Shape', [x], { start: 0, end: 1 });
      return b.op('Reshape', [x, b.op('Concat', [rows, b.ints([6])], { axis: 0 })]);
    },
    'two turns of the axes': (b, x) =>
      b.op('Transpose', [b.op('Softmax', [b.op('Transpose', [x])], { axis: 0 })]),
    'a filler for each of them': (b, x) => {
      const rows = b.op('Shape', [x], { start: 0, end: 1 });
      const shape = b.op('Concat', [rows, b.ints([2])], { axis: 0 });
      const filler = b.op('Expand', [b.scalar(2), shape]);
      const joined = b.op('Concat', [x, filler], { axis: 1 });
      return b.op('Slice', [joined, b.ints([2]), b.ints([8]), b.ints([1])]);
    },
  };

  test.each(Object.keys(apart))('and not by %s', (name) => {
    const bytes = model('batch', (b, x, weight) =>
      b.op('Gemm', [apart[name]!(b, x), weight('w', 6, 2)]),
    );
    expect(methodOf(bytes)).toBe('ghost');
  });
});
