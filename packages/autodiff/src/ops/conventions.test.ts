import { expect, test } from '@jest/globals';
import { gradient } from '../gradient.ts';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import { boolTensor, intTensor } from '../graph/tensor.ts';
import { writeModel } from '../file/writer.ts';
import { Session } from '../session.ts';
import { inspectModel } from '../inspect.ts';
import { infer } from './registry.ts';

const WRITER = { producer: 'test', version: '1' };

/** Outputs of `y = make(x…)` and the gradient of its sum with respect to each x (vectors). */
async function slopes(
  make: (b: Builder, ...xs: Value[]) => Value,
  ...xs: readonly (readonly number[])[]
): Promise<{ y: number[]; grads: number[][] }> {
  const b = new Builder(infer);
  const inputs = xs.map((x, i) => b.input(`x${i}`, 'float32', [x.length]));
  const y = b.named(make(b, ...inputs), 'y');
  const names = xs.map((_, i) => `x${i}`);
  const bytes = gradient(writeModel(b.graph('node', [y]), WRITER), ['y'], names);
  const session = await Session.open(bytes);
  const feeds = xs.map((x, i) => [
    `x${i}`,
    { dtype: 'float32', dims: [x.length], data: Float32Array.from(x) },
  ]);
  const results = await session.run(
    Object.fromEntries(feeds) as Record<
      string,
      { dtype: string; dims: number[]; data: Float32Array }
    >,
    ['y', ...names.map((name) => `${name}_grad`)],
  );
  await session.close();
  const numbers = (name: string): number[] => [...(results[name]!.data as Float32Array)];
  return { y: numbers('y'), grads: names.map((name) => numbers(`${name}_grad`)) };
}

test('the slope of ReLU, |x| and sign-like functions at 0 is 0', async () => {
  expect((await slopes((b, x) => b.op('Relu', [x]), [0, 1, -1])).grads).toEqual([[0, 1, 0]]);
  expect((await slopes((b, x) => b.op('Abs', [x]), [0, 2, -2])).grads).toEqual([[0, 1, -1]]);
  const rounded = (b: Builder, x: Value) => b.op('Add', [b.op('Round', [x]), x]);
  expect((await slopes(rounded, [0.4, 1.6])).grads).toEqual([[1, 1]]);
});

test('clip passes the gradient on its bounds', async () => {
  const clip = (b: Builder, x: Value) => b.op('Clip', [x, b.scalar(-1), b.scalar(1)]);
  expect((await slopes(clip, [-1.5, -1, 0, 1, 1.5])).grads).toEqual([[0, 1, 1, 1, 0]]);
});

test('ties of max and min share the gradient evenly', async () => {
  const max = (b: Builder, x: Value, y: Value) => b.op('Max', [x, y]);
  const { grads } = await slopes(max, [1, 2, 3], [1, 3, 2]);
  expect(grads).toEqual([
    [0.5, 0, 1],
    [0.5, 1, 0],
  ]);
  const amax = (b: Builder, x: Value) => b.op('ReduceMax', [x]);
  expect((await slopes(amax, [2, 1, 2, 2, 2])).grads).toEqual([[0.25, 0, 0.25, 0.25, 0.25]]);
  const amin = (b: Builder, x: Value) => b.op('ReduceMin', [x]);
  expect((await slopes(amin, [1, 1, 2])).grads).toEqual([[0.5, 0.5, 0]]);
});

test('a norm of zero has the gradient 0', async () => {
  expect((await slopes((b, x) => b.op('ReduceL2', [x]), [0, 0])).grads).toEqual([[0, 0]]);
  expect((await slopes((b, x) => b.op('ReduceL1', [x]), [0, -3])).grads).toEqual([[0, -1]]);
});

test('a product with zeros moves only through a single zero', async () => {
  const prod = (b: Builder, x: Value) => b.op('ReduceProd', [x]);
  expect((await slopes(prod, [2, 0, 3])).grads).toEqual([[0, 6, 0]]);
  expect((await slopes(prod, [2, 0, 0])).grads).toEqual([[0, 0, 0]]);
});

test('where never lets NaN of the branch not taken through', async () => {
  const guarded = (b: Builder, x: Value) => {
    const isPositive = b.op('Greater', [x, b.scalar(0)]);
    return b.op('Where', [
      isPositive,
      b.op('Mul', [x, b.scalar(2)]),
      b.op('Mul', [x, b.scalar(NaN)]),
    ]);
  };
  const { y, grads } = await slopes(guarded, [1]);
  expect(y).toEqual([2]);
  expect(grads[0]?.[0]).toBeNaN();
  const selected = (b: Builder, x: Value, z: Value) =>
    b.op('Where', [b.constant(boolTensor([2], [true, false])), x, z]);
  const chosen = await slopes(selected, [1, NaN], [NaN, 4]);
  expect(chosen.grads).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

test('a power has the slope 0 for the exponent 0, and for the exponent at base 0', async () => {
  const pow = (b: Builder, x: Value, y: Value) => b.op('Pow', [x, y]);
  const { grads } = await slopes(pow, [0, 2], [0, 0]);
  expect(grads[0]).toEqual([0, 0]);
  expect(grads[1]).toEqual([0, Math.fround(Math.log(2))]);
});

test('hard swish has its kinks at -3 and 3', async () => {
  const { grads } = await slopes((b, x) => b.op('HardSwish', [x]), [-3, 3, 0]);
  expect(grads).toEqual([[0, 1, 0.5]]);
});

test('kinks have the slope of the side that PyTorch takes', async () => {
  const at = async (op: string, ...xs: number[]) =>
    (await slopes((b, x) => b.op(op, [x]), xs)).grads[0];
  expect(await at('LeakyRelu', 0)).toEqual([Math.fround(0.01)]);
  expect(await at('Elu', 0)).toEqual([1]);
  expect(await at('HardSigmoid', -2.5, 2.5, 0)).toEqual([0, 0, Math.fround(0.2)]);
  expect(await at('ThresholdedRelu', 1, 1.5)).toEqual([0, 1]);
  expect(await at('Shrink', -0.5, 0.5, 0.6)).toEqual([0, 0, 1]);
  expect(await at('Softsign', 0)).toEqual([1]);
});

test('the first of equal elements takes the whole gradient of MaxPool and TopK', async () => {
  const pool = (b: Builder, x: Value) =>
    b.op('MaxPool', [b.op('Reshape', [x, b.ints([1, 1, -1])])], { kernel_shape: [4] });
  expect((await slopes(pool, [1, 3, 3, 2])).grads).toEqual([[0, 1, 0, 0]]);
  const top = (b: Builder, x: Value) => b.many('TopK', [x, b.ints([1])], {}, 2)[0]!;
  expect((await slopes(top, [1, 3, 3, 2])).grads).toEqual([[0, 1, 0, 0]]);
});

test('elements that another write covers get no gradient, what covers them gets it all', async () => {
  const write = (b: Builder, x: Value, y: Value) =>
    b.op('ScatterElements', [x, b.constant(intTensor([2], [-1, 0])), y]);
  const { grads } = await slopes(write, [1, 2, 3], [4, 5]);
  expect(grads).toEqual([
    [0, 1, 0],
    [1, 1],
  ]);
});

test('ties among scattered maxima share the gradient evenly', async () => {
  const write = (b: Builder, x: Value, y: Value) =>
    b.op('ScatterElements', [x, b.constant(intTensor([3], [0, 0, 1])), y], { reduction: 'max' });
  const { grads } = await slopes(write, [2, 9], [2, 1, 4]);
  expect(grads).toEqual([
    [0.5, 1],
    [0.5, 0, 0],
  ]);
});

test('outputs of Split that nothing uses count with zeros', async () => {
  const middle = (b: Builder, x: Value) =>
    b.many('Split', [x, b.ints([1, 2, 1])], { axis: 0 }, 3)[1]!;
  expect((await slopes(middle, [1, 2, 3, 4])).grads).toEqual([[0, 1, 1, 0]]);
});

test('outputs of Split that are not even named count with zeros', async () => {
  const middle = (b: Builder, x: Value) => {
    const sizes = b.ints([1, 2, 1]);
    const outputs = ['', b.unique('part'), ''];
    const inputs = [x.name, sizes.name];
    const node = { op: 'Split', domain: '', name: 'split', inputs, outputs, attributes: new Map() };
    return b.emit(node, [x, sizes])[1]!;
  };
  expect((await slopes(middle, [1, 2, 3, 4])).grads).toEqual([[0, 1, 1, 0]]);
});

test('nodes before which nothing moves are not differentiated', () => {
  const b = new Builder(infer);
  const [x, frozen] = [b.input('x', 'float32', [2]), b.input('frozen', 'float32', [2])];
  const y = b.named(b.op('Mul', [x, b.op('Exp', [b.op('Sin', [frozen])])]), 'y');
  const bytes = gradient(writeModel(b.graph('node', [y]), WRITER), ['y'], ['x']);
  const operators = inspectModel(bytes).operators;
  expect(operators).toMatchObject({ Exp: 1, Sin: 1 });
  expect(operators).not.toHaveProperty('Cos');
});

test('a value used twice gets the sum of both gradients, an unused one zeros', async () => {
  const { grads } = await slopes((b, x) => b.op('Mul', [x, x]), [3, -1], [5, 5]);
  expect(grads).toEqual([
    [6, -2],
    [0, 0],
  ]);
});

test('integers and truth values stop the gradient', async () => {
  const stepped = (b: Builder, x: Value) => {
    const whole = b.op('Cast', [b.op('Cast', [x], { to: 7 })], { to: 1 });
    return b.op('Add', [whole, b.op('Mul', [x, b.scalar(3)])]);
  };
  expect((await slopes(stepped, [1.5, 2.5])).grads).toEqual([[3, 3]]);
});

test('dropout in training passes what it kept, with its scale', async () => {
  const drop = (b: Builder, x: Value) =>
    b.op('Dropout', [x, b.scalar(0.5), b.constant(boolTensor([], [true]))], { seed: 7 });
  const { y, grads } = await slopes(
    drop,
    Array.from({ length: 40 }, () => 1),
  );
  expect(y).toContain(2);
  expect(y).toContain(0);
  expect(grads[0]).toEqual(y);
});

test('what is read several times adds up', async () => {
  const read = (b: Builder, x: Value) =>
    b.op('GatherElements', [x, b.constant(intTensor([4], [0, 0, 2, 0]))]);
  expect((await slopes(read, [5, 6, 7])).grads).toEqual([[3, 0, 1]]);
});

test('a gradient passes through float64 and back', async () => {
  const wide = (b: Builder, x: Value) => {
    const double = b.op('Cast', [x], { to: 11 });
    return b.op('Cast', [b.op('Mul', [double, double])], { to: 1 });
  };
  expect((await slopes(wide, [1.5])).grads).toEqual([[3]]);
});
