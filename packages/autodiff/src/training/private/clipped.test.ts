import { describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import { Builder } from '../../graph/builder.ts';
import type { Value } from '../../graph/graph.ts';
import { floatTensor, intTensor } from '../../graph/tensor.ts';
import { writeModel } from '../../file/writer.ts';
import { initialParameters } from '../../inspect.ts';
import { buildMlp } from '../../mlp.ts';
import { infer } from '../../ops/registry.ts';
import { buildTraining } from '../build.ts';
import type { Inputs } from '../feed.ts';
import type { TrainingOptions } from '../manifest.ts';
import { Trainer } from '../trainer.ts';
import type { ClippingMethod } from './method.ts';

const ROWS = 6;
const rng = seededRng('clipped');
const reals = (n: number): Float32Array =>
  Float32Array.from({ length: n }, () => uniformReal(rng) * 2 - 1);

/** A model written node by node. */
function model(write: (b: Builder, weight: (name: string, ...shape: number[]) => Value) => Value) {
  return (): Uint8Array => {
    const b = new Builder(infer);
    const weight = (name: string, ...shape: number[]): Value =>
      b.constant(floatTensor(shape, reals(shape.reduce((n, dim) => n * dim, 1))), name);
    const output = b.named(write(b, weight), 'output');
    return writeModel(b.graph('model', [output]), { producer: 'test', version: '1' });
  };
}

const constant = (b: Builder, size: number): Value =>
  b.constant(
    floatTensor(
      [size],
      Array.from({ length: size }, (_, i) => i + 0.5),
    ),
    `variance`,
  );

const flat = (b: Builder, x: Value): Value => b.op('Flatten', [x], { axis: 1 });

/** Shape of a row of the input, its type, and the model. */
interface Case {
  readonly name: string;
  readonly method: ClippingMethod;
  readonly row: readonly number[];
  /** Token numbers below this instead of reals. */
  readonly tokens?: number;
  /** Writes the file. */
  readonly model: () => Uint8Array;
}

const lenet = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 2, 10, 10]);
  const first = b.op('Conv', [x, w('c1', 4, 2, 3, 3), w('b1', 4)], {
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  });
  const pooled = b.op('MaxPool', [b.op('Relu', [first])], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  const second = b.op('Conv', [pooled, w('c2', 30, 4, 2, 2), w('b2', 30)]);
  const hidden = b.op('Gemm', [flat(b, b.op('Relu', [second])), w('f1', 5, 30), w('g1', 5)], {
    transB: 1,
  });
  return b.op('Gemm', [b.op('Tanh', [hidden]), w('f2', 5, 3), w('g2', 3)]);
});

const grouped = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 4, 9]);
  const first = b.op('Conv', [x, w('c1', 8, 2, 3)], { group: 2, dilations: [2], pads: [2, 1] });
  const normal = b.op('InstanceNormalization', [first, w('s1', 8), w('t1', 8)], {
    epsilon: { float: 1e-5 },
  });
  const pooled = b.op('GlobalAveragePool', [b.op('PRelu', [normal, w('p1', 8, 1)])]);
  return b.op('Gemm', [flat(b, pooled), w('f1', 8, 3), w('g1', 3)]);
});

const attention = model((b, w) => {
  const tokens = b.input('x', 'int64', ['batch', 7]);
  const found = b.op('Gather', [w('table', 11, 8), tokens], { axis: 0 });
  const placed = b.op('Add', [found, w('positions', 1, 7, 8)]);
  const normal = b.op('LayerNormalization', [placed, w('s1', 8), w('t1', 8)], { axis: -1 });
  const project = (name: string): Value => {
    const made = b.op('Add', [b.op('MatMul', [normal, w(`${name}.w`, 8, 8)]), w(`${name}.b`, 8)]);
    const heads = b.op('Reshape', [made, b.ints([0, 0, 2, 4])]);
    return b.op('Transpose', [heads], { perm: [0, 2, 1, 3] });
  };
  const [q, k, v] = [project('q'), project('k'), project('v')];
  const scores = b.op('MatMul', [q, b.op('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const mixed = b.op('MatMul', [b.op('Softmax', [scores], { axis: -1 }), v]);
  const joined = b.op('Reshape', [
    b.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
    b.ints([0, 0, 8]),
  ]);
  const out = b.op('MatMul', [joined, b.op('Transpose', [w('out', 40, 8)], { perm: [1, 0] })]);
  const mean = b.op('ReduceMean', [b.op('Tanh', [out]), b.ints([1])], { keepdims: 0 });
  return b.op('Gemm', [mean, w('f1', 40, 3), w('g1', 3)]);
});

const transformer = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 2, 8, 8]);
  const patches = b.op('Conv', [x, w('patch', 24, 2, 4, 4)], { strides: [4, 4] });
  const tokens = b.op('Transpose', [b.op('Reshape', [patches, b.ints([0, 24, 4])])], {
    perm: [0, 2, 1],
  });
  const rows = b.op('Shape', [x], { start: 0, end: 1 });
  const shape = b.op('Concat', [rows, b.ints([1, 24])], { axis: 0 });
  const first = b.op('Expand', [w('class', 1, 1, 24), shape]);
  const placed = b.op('Add', [b.op('Concat', [first, tokens], { axis: 1 }), w('positions', 5, 24)]);
  const normal = b.op('LayerNormalization', [placed, w('s1', 24), w('t1', 24)], { axis: -1 });
  const weights = b.op('MatMul', [normal, b.op('Transpose', [normal], { perm: [0, 2, 1] })]);
  const mixed = b.op('MatMul', [b.op('Softmax', [weights], { axis: -1 }), normal]);
  const hidden = b.op('Add', [mixed, b.op('Tanh', [b.op('MatMul', [mixed, w('m', 24, 24)])])]);
  const answer = b.op('Gather', [hidden, b.constant(intTensor([], [0]))], { axis: 1 });
  return b.op('Gemm', [answer, w('f1', 3, 24), w('g1', 3)], { transB: 1 });
});

/** Statistics of groups and of the file, and a weight on every place of the image. */
const normalised = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 4, 5, 5]);
  const groups = b.op('GroupNormalization', [x, w('s1', 2), w('t1', 2)], { num_groups: 2 });
  const point = b.op('Relu', [b.op('Conv', [groups, w('c1', 3, 4, 1, 1), w('b1', 3)])]);
  const fixed = b.op('BatchNormalization', [
    point,
    w('s2', 3),
    w('t2', 3),
    w('m2', 3),
    constant(b, 3),
  ]);
  const masked = b.op('Mul', [fixed, w('mask', 1, 5, 5)]);
  return b.op('Gemm', [flat(b, masked), w('f1', 75, 3), w('g1', 3)]);
});

const tied = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 4, 5]);
  const shared = w('shared', 5, 5);
  const once = b.op('Tanh', [b.op('MatMul', [x, shared])]);
  const twice = b.op('MatMul', [once, shared]);
  return b.op('Gemm', [flat(b, twice), w('f1', 20, 3), w('g1', 3)]);
});

/** The weights are cut into pieces, as those of gates are. */
const sliced = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 5]);
  const [left, right] = b.many('Split', [w('gates', 5, 8)], { axis: 1, num_outputs: 2 }, 2);
  const gate = b.op('Sigmoid', [b.op('MatMul', [x, left])]);
  const value = b.op('Mul', [gate, b.op('Tanh', [b.op('MatMul', [x, right])])]);
  return b.op('Gemm', [value, w('f1', 4, 3), w('g1', 3)]);
});

/** The rows go through the first axis of a matrix product of their own. */
const mixed = model((b, w) => {
  const x = b.input('x', 'float32', ['batch', 5]);
  const hidden = b.op('Tanh', [b.op('MatMul', [x, w('w1', 5, 4)])]);
  const count = b.op('Cast', [b.op('Shape', [x], { start: 0, end: 1 })], { to: 1 });
  const scaled = b.op('Div', [hidden, count]);
  return b.op('Gemm', [scaled, w('f1', 4, 3), w('g1', 3)]);
});

const CASES: readonly Case[] = [
  {
    name: 'a perceptron',
    method: 'ghost',
    row: [5],
    model: () =>
      buildMlp({ features: 5, hidden: [7, 4], outputs: 3, activation: 'tanh', seed: 'm' }),
  },
  { name: 'a convolutional net', method: 'ghost', row: [2, 10, 10], model: lenet },
  {
    name: 'grouped and dilated convolution with instance normalisation',
    method: 'ghost',
    row: [4, 9],
    model: grouped,
  },
  {
    name: 'embedding, attention and layer normalisation',
    method: 'ghost',
    row: [7],
    tokens: 11,
    model: attention,
  },
  {
    name: 'patches, a class token and positions',
    method: 'ghost',
    row: [2, 8, 8],
    model: transformer,
  },
  {
    name: 'group and fixed batch normalisation',
    method: 'ghost',
    row: [4, 5, 5],
    model: normalised,
  },
  { name: 'a weight used twice', method: 'ghost', row: [4, 5], model: tied },
  { name: 'weights that are cut', method: 'loop', row: [5], model: sliced },
  { name: 'the number of rows as a factor', method: 'loop', row: [5], model: mixed },
];

const labels = Int32Array.from({ length: ROWS }, (_, i) => (i * i) % 3);

function inputsOf({ row, tokens }: Case, rows = ROWS): Inputs {
  const length = row.reduce((n, dim) => n * dim, rows);
  const data =
    tokens === undefined
      ? reals(length)
      : BigInt64Array.from({ length }, (_, i) => BigInt((i * i + i) % tokens));
  return { data, dims: [rows, ...row] };
}

function rowOf(inputs: Inputs, row: number): Inputs {
  const { data, dims } = inputs as { data: Float32Array; dims: readonly number[] };
  const size = data.length / dims[0]!;
  return { data: data.slice(row * size, (row + 1) * size), dims: [1, ...dims.slice(1)] };
}

const loss: TrainingOptions = { loss: 'cross_entropy', optimizer: { kind: 'sgd' } };
const norm = (v: Float32Array): number => Math.hypot(...v);

/** Largest difference, relative to the largest value wanted. */
function error(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  const scale = Math.max(...Array.from(wanted, Math.abs));
  return Math.max(...Array.from(wanted, (value, i) => Math.abs(value - found[i]!))) / scale;
}

describe.each(CASES)('clipping by example: $name', (c) => {
  test('equals the sum of the clipped gradients of single rows', async () => {
    const bytes = c.model();
    const plain = await Trainer.open(buildTraining(bytes, loss));
    const parameters = initialParameters(bytes);
    const inputs = inputsOf(c);
    const singles = [];
    for (let i = 0; i < ROWS; i++) {
      const { gradient } = await plain.gradient({
        parameters,
        inputs: rowOf(inputs, i),
        labels: labels.slice(i, i + 1),
      });
      singles.push(gradient);
    }
    await plain.close();
    const norms = singles.map(norm);
    const clip = [...norms].sort((a, b) => a - b)[3]!;
    const artifacts = buildTraining(bytes, { ...loss, privacy: { clip, lotSize: 4 } });
    expect(artifacts.manifest.privacy?.method).toBe(c.method);
    const trainer = await Trainer.open(artifacts);
    const weights = Float32Array.from(labels, (_, i) => (i === 1 ? 0 : 1));
    const noise = new Float32Array(artifacts.manifest.trainableCount);
    const found = await trainer.gradient({
      parameters,
      inputs,
      labels,
      sampleWeights: weights,
      noise,
    });
    await trainer.close();
    const wanted = new Float64Array(noise.length);
    singles.forEach((g, i) => {
      const factor = weights[i]! * Math.min(1, clip / norms[i]!);
      g.forEach((value, at) => (wanted[at]! += (factor * value) / 4));
    });
    expect(
      error(
        found.norms!,
        norms.map((n, i) => n * weights[i]!),
      ),
    ).toBeLessThan(1e-5);
    expect(error(found.gradient, wanted)).toBeLessThan(1e-5);
  });
});
