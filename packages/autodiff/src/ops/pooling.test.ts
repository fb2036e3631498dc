import { expect, test } from '@jest/globals';
import { gradient } from '../gradient.ts';
import { Builder } from '../graph/builder.ts';
import type { AttributeInput } from '../graph/graph.ts';
import { writeModel } from '../file/writer.ts';
import { Session } from '../session.ts';
import { infer } from './registry.ts';

/** The gradient of the sum of a pooling's result over one line of numbers. */
async function slope(
  op: string,
  x: readonly number[],
  attributes: Record<string, AttributeInput> = {},
): Promise<readonly number[]> {
  const b = new Builder(infer);
  const y = b.op(op, [b.input('x', 'float32', [1, 1, x.length])], attributes, 'y');
  const model = writeModel(b.graph('node', [y]), { producer: 'test', version: '1' });
  const session = await Session.open(gradient(model, ['y'], ['x']));
  const feed = { dtype: 'float32', dims: [1, 1, x.length], data: Float32Array.from(x) };
  const results = await session.run({ x: feed }, ['x_grad']);
  await session.close();
  return [...(results['x_grad']!.data as Float32Array)];
}

test('of equal maxima the first of each window moves, as in PyTorch', async () => {
  const apart = { kernel_shape: [2], strides: [2] };
  expect(await slope('MaxPool', [3, 3, 0, 0], apart)).toEqual([1, 0, 1, 0]);
  const overlapping = { kernel_shape: [3], strides: [1] };
  expect(await slope('MaxPool', [1, 2, 2, 2, 0], overlapping)).toEqual([0, 2, 1, 0, 0]);
  expect(await slope('MaxPool', [1, 2, 2, 2, 0], { ...overlapping, storage_order: 1 })).toEqual([
    0, 2, 1, 0, 0,
  ]);
  expect(await slope('GlobalMaxPool', [1, 5, 5])).toEqual([0, 1, 0]);
});

test('an average counts padding only when told to', async () => {
  const pool = { kernel_shape: [2], strides: [2], pads: [1, 1] };
  expect(await slope('AveragePool', [1, 2], pool)).toEqual([1, 1]);
  expect(await slope('AveragePool', [1, 2], { ...pool, count_include_pad: 1 })).toEqual([0.5, 0.5]);
});

test('the norm of nothing but zeros has no slope', async () => {
  expect(await slope('GlobalLpPool', [0, 0], { p: 2 })).toEqual([0, 0]);
  expect(await slope('LpPool', [0, 0, 3], { kernel_shape: [2], p: 3 })).toEqual([0, 0, 1]);
});
