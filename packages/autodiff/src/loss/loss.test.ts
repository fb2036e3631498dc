import { describe, expect, test } from '@jest/globals';
import { Builder } from '../graph/builder.ts';
import { floatTensor } from '../graph/tensor.ts';
import { writeModel } from '../file/writer.ts';
import { infer } from '../ops/registry.ts';
import { buildTraining } from '../training/build.ts';
import type { TensorInput } from '../training/feed.ts';
import { Trainer } from '../training/trainer.ts';
import type { LossName, LossOptions } from './loss.ts';

/** Loss and gradient with respect to the outputs themselves: the model adds a weight to each. */
async function lossOf(
  loss: LossName | LossOptions,
  outputs: readonly number[],
  dims: readonly number[],
  labels: TensorInput,
) {
  const b = new Builder(infer);
  const shape = ['batch', ...dims.slice(1)];
  const x = b.input('x', 'float32', shape);
  const shift = b.constant(floatTensor(dims, new Float32Array(outputs.length)), 'shift');
  const y = b.adopt({ ...b.op('Add', [x, shift], {}, 'y'), shape });
  const bytes = writeModel(b.graph('shift', [y]), { producer: 'test', version: '1' });
  const trainer = await Trainer.open(buildTraining(bytes, { loss, optimizer: { kind: 'sgd' } }));
  const rows = {
    parameters: new Float32Array(outputs.length),
    inputs: Float32Array.from(outputs),
    labels,
  };
  const result = await trainer.gradient(rows);
  const { losses } = await trainer.evaluate(rows);
  await trainer.close();
  return { ...result, losses: [...losses] };
}

describe('binary cross-entropy with logits', () => {
  test('is stable for extreme logits', async () => {
    const logits = [0, 0, 100, 100, -100, -100, 3e38, -3e38];
    const labels = Float32Array.of(0, 1, 1, 0, 0, 1, 1, 0);
    const { losses, gradient } = await lossOf('bce_with_logits', logits, [8, 1], labels);
    const expected = [Math.LN2, Math.LN2, 0, 100, 0, 100, 0, 0];
    losses.forEach((loss, i) => expect(loss).toBeCloseTo(expected[i]!, 5));
    const slopes = [0.5, -0.5, 0, 1, 0, -1, 0, 0];
    gradient.forEach((slope, i) => expect(slope).toBeCloseTo(slopes[i]! / 8, 6));
  });

  test('averages over the outputs of a row', async () => {
    const { losses, loss } = await lossOf(
      'bce_with_logits',
      [0, 0, 2, -2],
      [2, 2],
      Float32Array.of(0, 1, 1, 1),
    );
    const softplus = (x: number) => Math.log1p(Math.exp(x));
    expect(losses[0]).toBeCloseTo(Math.LN2, 6);
    expect(losses[1]).toBeCloseTo((softplus(-2) + softplus(2)) / 2, 6);
    expect(loss).toBeCloseTo((losses[0]! + losses[1]!) / 2, 6);
  });
});

describe('cross-entropy', () => {
  test('is stable for extreme logits', async () => {
    const logits = [1000, 0, -1000, 0, 0, 0];
    const { losses, gradient } = await lossOf('cross_entropy', logits, [2, 3], Int32Array.of(1, 2));
    expect(losses[0]).toBeCloseTo(1000, 3);
    expect(losses[1]).toBeCloseTo(Math.log(3), 6);
    const slopes = [1, -1, 0, 1 / 3, 1 / 3, -2 / 3];
    gradient.forEach((slope, i) => expect(slope).toBeCloseTo(slopes[i]! / 2, 6));
  });

  test('averages over the places of a row', async () => {
    const logits = [0, 0, 1, 0, 2, 0, 0, 0];
    const labels = { data: Int32Array.of(0, 0, 1, 1), dims: [2, 2] };
    const loss = { kind: 'cross_entropy', classAxis: -1 } as const;
    const { losses } = await lossOf(loss, logits, [2, 2, 2], labels);
    const nll = (gap: number) => Math.log1p(Math.exp(gap));
    expect(losses[0]).toBeCloseTo((nll(0) + nll(-1)) / 2, 6);
    expect(losses[1]).toBeCloseTo((nll(2) + nll(0)) / 2, 6);
  });

  test('has the classes on axis 1 where nothing is said, as PyTorch has', async () => {
    const logits = [0, 0, 1, 0, 2, 0, 0, 0];
    const labels = { data: Int32Array.of(0, 0, 1, 1), dims: [2, 2] };
    const { losses } = await lossOf('cross_entropy', logits, [2, 2, 2], labels);
    const nll = (gap: number) => Math.log1p(Math.exp(gap));
    expect(losses[0]).toBeCloseTo((nll(1) + nll(0)) / 2, 6);
    expect(losses[1]).toBeCloseTo((nll(2) + nll(0)) / 2, 6);
  });
});

test('squared error and its gradient', async () => {
  const { losses, loss, gradient } = await lossOf(
    'mse',
    [1, 2, 3, 5],
    [2, 2],
    Float32Array.of(0, 2, 3, 1),
  );
  expect(losses).toEqual([0.5, 8]);
  expect(loss).toBe(4.25);
  expect([...gradient]).toEqual([0.5, 0, 0, 2]);
});

test('an output without classes is refused for cross-entropy', async () => {
  await expect(lossOf('cross_entropy', [1, 2], [2], Int32Array.of(0, 0))).rejects.toMatchObject({
    code: 'MODEL_OUTPUT_UNFIT',
  });
});
