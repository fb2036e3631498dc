import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import { infer } from '../ops/registry.ts';
import { LOSSES, type LossName, type LossOptions } from './loss.ts';
import { lossAt, type Case, type Rows } from './probe.ts';
import { lossOf, lossRecord } from './registry.ts';

const nothing = (): number => 0;
const flat = (loss: LossName | LossOptions, labels: Rows): Case => ({
  loss,
  dims: [labels.length, labels[0]!.length],
  labelDims: [labels.length, labels[0]!.length],
  labels,
  definition: nothing,
});
const classes = (loss: LossName | LossOptions, labels: readonly number[]): Case => ({
  loss,
  dims: [labels.length, 3],
  labelDims: [labels.length],
  labels: labels.map((label) => [label]),
  isIndexed: true,
  definition: nothing,
});

describe('logits as extreme as ±10 000', () => {
  const logits: Rows = [
    [1e4, -1e4, 0],
    [-1e4, 1e4, 1e4],
    [0, -1e4, -1e4],
  ];
  const bits: Rows = [
    [1, 1, 0],
    [1, 0, 1],
    [0, 0, 0.5],
  ];
  test.each<Case>([
    flat('bce_with_logits', bits),
    flat({ kind: 'bce_with_logits', positiveWeight: 3 }, bits),
    flat('binary_focal', bits),
    flat({ kind: 'binary_focal', gamma: 0.5, alpha: 0.25 }, bits),
    flat('mse', bits),
    flat('huber', bits),
    flat({ kind: 'cross_entropy', softTargets: true, labelSmoothing: 0.1 }, bits),
    flat('dice_bce', bits),
    classes('cross_entropy', [0, 0, 2]),
    classes({ kind: 'cross_entropy', labelSmoothing: 0.1 }, [1, 2, 0]),
    classes('focal', [0, 0, 2]),
    classes({ kind: 'focal', gamma: 0.5 }, [1, 2, 0]),
  ])('give a finite loss $loss and gradient', async (c) => {
    const { loss, gradient, losses } = await lossAt(c, logits, [1, 1, 1]);
    expect([loss, ...losses, ...gradient].filter((value) => !Number.isFinite(value))).toEqual([]);
  });
});

test('probabilities of exactly 0 and 1 cost at most 100 in binary cross-entropy', async () => {
  const { losses, gradient } = await lossAt(
    flat('bce', [[1], [0], [1], [0]]),
    [[0], [1], [1], [0]],
    [1, 1, 1, 1],
  );
  expect(losses).toEqual([100, 100, 0, 0].map((loss) => expect.closeTo(loss, 5)));
  expect(gradient.every(Number.isFinite)).toBe(true);
});

test.each<LossName | LossOptions>(['cross_entropy', 'nll', 'focal'])(
  'where every label is ignored, %s is 0 and moves nothing',
  async (loss) => {
    const c = classes(loss, [-100, -100]);
    const found = await lossAt(
      c,
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [1, 2],
    );
    expect(found.loss).toBeCloseTo(0, 12);
    expect(found.gradient.every((slope) => slope === 0)).toBe(true);
  },
);

describe('labels are refused', () => {
  test.each<[string, Case]>([
    ['outside the classes', classes('cross_entropy', [0, 3])],
    ['below the classes', classes('nll', [-1, 0])],
    ['that are no numbers', flat('mse', [[NaN], [0]])],
    ['that are infinite', flat('l1', [[Infinity], [0]])],
    ['that are no probabilities', flat('bce_with_logits', [[2], [0]])],
    ['below 0 as counts', flat('poisson_nll', [[-1], [0]])],
  ])('%s', async (_, c) => {
    const outputs = c.labels.map(() => Array.from({ length: c.dims[1]! }, () => 0.5));
    await expect(lossAt(c, outputs, [1, 1])).rejects.toMatchObject({
      code: 'TRAINING_DATA_INVALID',
    });
  });
});

describe('settings', () => {
  test.each<LossOptions>([
    { kind: 'huber', delta: 0 },
    { kind: 'smooth_l1', beta: -1 },
    { kind: 'quantile', quantile: 1 },
    { kind: 'quantile', quantile: [] },
    { kind: 'cross_entropy', labelSmoothing: 1.5 },
    { kind: 'cross_entropy', classWeights: [1, -1] },
    { kind: 'focal', gamma: NaN },
    { kind: 'binary_focal', alpha: 2 },
    { kind: 'cox', strata: 0 },
    { kind: 'dice', smooth: -1 },
    { kind: 'mse', delta: 1 } as LossOptions,
    { kind: 'ctc' } as unknown as LossOptions,
    { kind: 'onnx', model: 'x' } as unknown as LossOptions,
  ])('%j are refused', (options) => {
    expect(() => lossOf(options)).toThrow(
      expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
    );
  });

  test.each(LOSSES)('%s needs none', (name) => {
    expect(() => lossOf(name)).not.toThrow();
    expect(lossRecord(name)).toBe(name);
  });
});

/** (output − labels)² / 2 as a model, with the inputs that `names` says. */
function halfSquare(names: readonly string[]): Uint8Array {
  const b = new Builder(infer);
  const [x, y] = names.map((name) => b.input(name, 'float32', ['batch', 2]));
  const error = b.op('Sub', [x, y]);
  const loss = b.op('Mul', [b.op('Mul', [error, error]), b.scalar(0.5)], {}, 'losses');
  return writeModel(b.graph('half', [loss]), { producer: 'test', version: '1' });
}

describe('a loss given as a model', () => {
  const model = halfSquare(['output', 'labels']);

  test('is averaged over rows and differentiated', async () => {
    const c = flat({ kind: 'onnx', model }, [
      [1, 0],
      [0, 0],
    ]);
    const found = await lossAt(
      c,
      [
        [3, 2],
        [1, 1],
      ],
      [1, 3],
    );
    expect(found.losses).toEqual([2, 0.5]);
    expect(found.loss).toBeCloseTo((2 + 3 * 0.5) / 4, 6);
    expect([...found.gradient]).toEqual([0.25, 0.25, 0.375, 0.375]);
  });

  test('stands in the manifest by its hash', () => {
    expect(lossRecord({ kind: 'onnx', model })).toEqual({
      kind: 'onnx',
      modelSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  test('with other inputs is refused', () => {
    expect(() => lossOf({ kind: 'onnx', model: halfSquare(['x', 'labels']) })).toThrow(
      expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
    );
  });
});
