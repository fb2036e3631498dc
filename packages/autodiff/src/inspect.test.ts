import { describe, expect, test } from '@jest/globals';
import { initialParameters, inspectModel } from './inspect.ts';
import { buildMlp } from './mlp.ts';
import { Builder } from './graph/builder.ts';
import { floatTensor } from './graph/tensor.ts';
import { writeModel } from './file/writer.ts';
import { infer } from './ops/registry.ts';
import { buildTraining } from './training/build.ts';

const form = { features: 4, hidden: [6, 5], outputs: 3, activation: 'relu', seed: 'i' } as const;

describe('the model builder', () => {
  test('gives the layers asked for, with a batch of any size', () => {
    const report = inspectModel(buildMlp(form));
    expect(report).toMatchObject({
      irVersion: 8,
      opset: 18,
      inputs: [{ name: 'input', shape: ['batch', 4], dtype: 'float32' }],
      outputs: [{ name: 'output', shape: ['batch', 3], dtype: 'float32' }],
      operators: { Gemm: 3, Relu: 2 },
      parameterCount: 4 * 6 + 6 + 6 * 5 + 5 + 5 * 3 + 3,
      unsupported: [],
    });
    expect(report.parameters.map(({ name, shape }) => [name, ...shape])).toEqual([
      ['net.0.weight', 6, 4],
      ['net.0.bias', 6],
      ['net.2.weight', 5, 6],
      ['net.2.bias', 5],
      ['net.4.weight', 3, 5],
      ['net.4.bias', 3],
    ]);
  });

  test('gives the same weights for the same seed only', () => {
    expect(buildMlp(form)).toEqual(buildMlp(form));
    expect(initialParameters(buildMlp(form))).not.toEqual(
      initialParameters(buildMlp({ ...form, seed: 'j' })),
    );
  });

  test('draws weights within their bounds and starts biases at 0', () => {
    const weights = initialParameters(buildMlp({ ...form, features: 50, hidden: [40] }));
    const first = weights.subarray(0, 2000);
    const bound = Math.sqrt(6 / 50);
    expect(Math.max(...first.map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(Math.max(...first)).toBeGreaterThan(bound * 0.98);
    expect([...weights.subarray(2000, 2040)].every((value) => value === 0)).toBe(true);
  });

  test('without hidden layers gives a linear model, under the names asked for', () => {
    const linear = { ...form, hidden: [], outputs: 1, inputName: 'x', outputName: 'risk' };
    const report = inspectModel(buildMlp(linear));
    expect(report.inputs[0]?.name).toBe('x');
    expect(report.outputs[0]?.name).toBe('risk');
    expect(report.parameterCount).toBe(5);
  });

  test.each([{ features: 0 }, { hidden: [1.5] }, { outputs: -1 }])('refuses %j', (wrong) => {
    expect(() => buildMlp({ ...form, ...wrong })).toThrow(
      expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
    );
  });
});

describe('a model that cannot be trained', () => {
  /** Two weights, each behind operators that have no gradient. */
  function blocked(): Uint8Array {
    const b = new Builder(infer);
    const x = b.input('x', 'float32', ['batch', 3]);
    const weight = b.constant(floatTensor([3], [1, 2, 3]), 'weight');
    const sorted = b.op('NoSuchOperator', [b.op('Mul', [x, weight])], {}, 'strange');
    const second = b.op(
      'Det',
      [b.op('Add', [b.adopt({ ...sorted, dtype: 'float32' }), weight])],
      {},
      'y',
    );
    const y = b.adopt({ ...second, dtype: 'float32' });
    return writeModel(b.graph('blocked', [y]), { producer: 'test', version: '1' });
  }

  test('is described, with every node that stands in the way', () => {
    const { unsupported } = inspectModel(blocked());
    expect(unsupported.map(({ node, op }) => [node, op])).toEqual([
      ['strange', 'NoSuchOperator'],
      ['y', 'Det'],
    ]);
    expect(unsupported[0]!.reason).toContain('[batch, 3]');
    expect(unsupported[0]!.advice).not.toBe('');
  });

  test('is refused with all of them in one error', () => {
    expect(() => buildTraining(blocked(), { loss: 'mse', optimizer: { kind: 'sgd' } })).toThrow(
      expect.objectContaining({
        code: 'MODEL_UNSUPPORTED_OPERATOR',
        message: expect.stringMatching(/^2 nodes(.|\n)*strange(.|\n)*Det/),
      }),
    );
  });

  test('is refused when it has no weights, or no such output', () => {
    const b = new Builder(infer);
    const y = b.op('Relu', [b.input('x', 'float32', ['batch', 3])], {}, 'y');
    const empty = writeModel(b.graph('empty', [y]), { producer: 'test', version: '1' });
    const build = (bytes: Uint8Array, output?: string) => () =>
      buildTraining(bytes, {
        loss: 'mse',
        optimizer: { kind: 'sgd' },
        ...(output ? { output } : {}),
      });
    expect(build(empty)).toThrow(expect.objectContaining({ code: 'MODEL_NO_PARAMETERS' }));
    expect(build(buildMlp(form), 'other')).toThrow(
      expect.objectContaining({ code: 'MODEL_VALUE_UNKNOWN' }),
    );
  });
});

test('the same model and options give the same training, byte for byte', () => {
  const options = { loss: 'cross_entropy', optimizer: { kind: 'adam' } } as const;
  expect(buildTraining(buildMlp(form), options)).toEqual(buildTraining(buildMlp(form), options));
});

test('statistics of BatchNormalization cannot leave a subgraph: in training mode it is in the way', () => {
  const branch = (name: string) => {
    const inner = new Builder(infer);
    const x = inner.adopt({ name: 'x', dtype: 'float32', shape: ['batch', 3] });
    const rest = [1, 0, 0, 1].map((value) =>
      inner.constant(floatTensor([3], [value, value, value]), `${name}${inner.initializers.size}`),
    );
    const [y] = inner.many('BatchNormalization', [x, ...rest], { training_mode: 1 }, 3);
    return inner.graph(name, [inner.named(y!, `${name}_out`)]);
  };
  const b = new Builder(infer);
  b.input('x', 'float32', ['batch', 3]);
  const branches = { then_branch: branch('a'), else_branch: branch('b') };
  const chosen = b.op('If', [b.input('is_a', 'bool', ['batch'])], branches);
  const known = b.adopt({ ...chosen, dtype: 'float32', shape: ['batch', 3] });
  const y = b.op('Mul', [known, b.constant(floatTensor([3], [1, 2, 3]), 'w')], {}, 'y');
  const bytes = writeModel(b.graph('g', [y]), { producer: 'test', version: '1' });
  const said = inspectModel(bytes).unsupported.map(({ op, reason }) => `${op}: ${reason}`);
  expect(said).toHaveLength(2);
  expect(said[0]).toContain('BatchNormalization: it is in training mode inside a subgraph');
  expect(inspectModel(bytes, { batchNorm: 'frozen' }).unsupported).toEqual([]);
});
