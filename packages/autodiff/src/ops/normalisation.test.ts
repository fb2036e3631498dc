import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../file/writer.ts';
import { gradient } from '../gradient.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { boolTensor, floatTensor, intTensor } from '../graph/tensor.ts';
import { Session } from '../session.ts';
import { infer } from './registry.ts';

const WRITER = { producer: 'test', version: '1' };

/** The model `make` writes over x [rows, 2], with the gradient of the sum of its result. */
function modelOf(rows: number, make: (b: Builder, x: Value) => Value): Uint8Array {
  const b = new Builder(infer);
  const y = b.named(make(b, b.input('x', 'float32', [rows, 2])), 'y');
  return gradient(writeModel(b.graph('node', [y]), WRITER), ['y'], ['x']);
}

async function slopes(
  x: readonly number[],
  make: (b: Builder, x: Value) => Value,
): Promise<{ y: number[]; slope: number[] }> {
  const rows = x.length / 2;
  const session = await Session.open(modelOf(rows, make));
  const feed = { dtype: 'float32', dims: [rows, 2], data: Float32Array.from(x) };
  const { y, x_grad: slope } = await session.run({ x: feed }, ['y', 'x_grad']);
  await session.close();
  return { y: [...(y!.data as Float32Array)], slope: [...(slope!.data as Float32Array)] };
}

const weights = (b: Builder, ...values: readonly number[]): Value =>
  b.constant(floatTensor([values.length], values));

test('a norm of zero has no slope', async () => {
  for (const p of [1, 2]) {
    const norm = (b: Builder, x: Value) => b.op('LpNormalization', [x], { p });
    expect((await slopes([0, 0], norm)).slope).toEqual([0, 0]);
  }
});

test('batch normalisation keeps its slope beside a large mean', async () => {
  const shape = [3, -1, 4, -6];
  const pulls = [1, 2, -1, 0.5];
  const norm = (b: Builder, x: Value) => {
    const statistics = [weights(b, 0, 0), weights(b, 1, 1)];
    const [y] = b.many(
      'BatchNormalization',
      [x, weights(b, 1, 1), weights(b, 0, 0), ...statistics],
      { training_mode: 1, epsilon: { float: 0 } },
      3,
    );
    const pull = b.constant(
      floatTensor(
        [4, 2],
        pulls.flatMap((value) => [value, value]),
      ),
    );
    return b.op('Mul', [y, pull]);
  };
  const { slope } = await slopes(
    shape.flatMap((value) => [value, value + 4096]),
    norm,
  );
  // Beside 4096 float32 holds these whole numbers exactly, so both columns have the same slopes.
  for (let row = 0; row < 4; row++) expect(slope[row * 2 + 1]).toBeCloseTo(slope[row * 2]!, 4);
});

test('labels that are ignored, all of them, move nothing', async () => {
  const loss = (b: Builder, x: Value) => {
    const labels = b.constant(intTensor([2], [-1, -1]));
    return b.op('SoftmaxCrossEntropyLoss', [x, labels], { ignore_index: -1, reduction: 'sum' });
  };
  expect((await slopes([1, 2, 3, 5], loss)).slope).toEqual([0, 0, 0, 0]);
});

test('dropout takes a ratio that is computed', async () => {
  const drop = (b: Builder, x: Value) => {
    const ratio = b.op('Mul', [b.scalar(0.5), b.scalar(1.5)]);
    return b.op('Dropout', [x, ratio, b.constant(boolTensor([], [true]))], { seed: 3 });
  };
  const ones = Array.from({ length: 40 }, () => 1);
  const { y, slope } = await slopes(ones, drop);
  expect(new Set(y)).toEqual(new Set([0, 4]));
  expect(slope).toEqual(y);
});

describe('what the runtime or the formula cannot do is refused', () => {
  test('a scale that is stretched over the normalised axes', () => {
    const wide = (b: Builder, x: Value) => b.op('LayerNormalization', [x, weights(b, 1)], {});
    expect(() => modelOf(3, wide)).toThrow(/expand it/);
  });

  test('an even window of channels', () => {
    const lrn = (b: Builder, x: Value) => {
      const image = b.op('Unsqueeze', [x, b.ints([2, 3])]);
      return b.op('LRN', [image], { size: 4 });
    };
    expect(() => modelOf(3, lrn)).toThrow(/make it odd/);
  });

  test('a training mode that is computed', () => {
    const drop = (b: Builder, x: Value) =>
      b.op('Dropout', [x, undefined, b.input('mode', 'bool', [])]);
    expect(() => modelOf(3, drop)).toThrow(/make it a constant/);
  });
});
