import { describe, expect, test } from '@jest/globals';
import { gradient } from '../gradient.ts';
import { inspectModel } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { Session } from '../session.ts';
import { Builder } from '../graph/builder.ts';
import { decodeModel, encodeModel } from './codec.ts';
import type { AttributeInput } from '../graph/graph.ts';
import { floatTensor } from '../graph/tensor.ts';
import { writeModel } from './writer.ts';

/** y = op(x) for x [2, 3], stamped with another operator set. */
function modelAt(
  version: number,
  op: string,
  attributes: Readonly<Record<string, AttributeInput>>,
) {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', [2, 3]);
  const y = b.adopt({ ...b.op(op, [x], attributes, 'y'), dtype: 'float32' });
  const proto = decodeModel(writeModel(b.graph('node', [y]), { producer: 'test', version: '1' }));
  proto.opsetImport = [{ domain: '', version: version as never }];
  return encodeModel(proto);
}

async function run(bytes: Uint8Array, names: readonly string[]) {
  const session = await Session.open(bytes);
  const data = Float32Array.of(-1.5, -0.2, 0.3, 0.9, 1.7, 2.5);
  const results = await session.run({ x: { dtype: 'float32', dims: [2, 3], data } }, names);
  await session.close();
  return names.map((name) => ({
    dims: results[name]!.dims,
    data: [...(results[name]!.data as Float32Array)],
  }));
}

describe('a model of another operator set', () => {
  test.each<[number, string, Record<string, AttributeInput>]>([
    [13, 'ReduceMean', { axes: [1], keepdims: 0 }],
    [13, 'ReduceL2', { axes: [-1] }],
    [13, 'ReduceMax', { axes: [0], keepdims: 0 }],
    [13, 'ReduceProd', {}],
    [20, 'Gelu', {}],
    [20, 'Gelu', { approximate: 'tanh' }],
    [19, 'Cast', { to: 1, saturate: 1 }],
    [24, 'Swish', { alpha: { float: 1.5 } }],
    [24, 'Swish', {}],
  ])('of %i with %s %j gives what it gave', async (version, op, attributes) => {
    const bytes = modelAt(version, op, attributes);
    const [theirs] = await run(bytes, ['y']);
    const [ours, slope] = await run(gradient(bytes, ['y'], ['x']), ['y', 'x_grad']);
    expect(ours!.dims).toEqual(theirs!.dims);
    ours!.data.forEach((value, i) => expect(value).toBeCloseTo(theirs!.data[i]!, 5));
    expect(slope!.dims).toEqual([2, 3]);
  });
});

describe('what exporters fold together', () => {
  /** Two layers of which the second's weight is stored as an Identity of the first's. */
  function merged(): Uint8Array {
    const b = new Builder(infer);
    const x = b.input('x', 'float32', ['batch', 2]);
    const first = b.constant(floatTensor([2], [1, 1]), 'norm1.weight');
    const second = b.op('Identity', [first], {}, 'norm2.weight');
    const half = b.op('Constant', [], { value: floatTensor([], [0.5]) }, 'half');
    const known = b.adopt({ ...half, dtype: 'float32', shape: [] });
    const y = b.op('Mul', [b.op('Mul', [b.op('Mul', [x, first]), second]), known], {}, 'y');
    return writeModel(b.graph('merged', [y]), { producer: 'test', version: '1' });
  }

  test('becomes weights of their own again, and constants stay constants', () => {
    const { parameters, unsupported } = inspectModel(merged());
    expect(parameters).toEqual([
      { name: 'norm1.weight', shape: [2], count: 2, offset: 0, role: 'trainable' },
      { name: 'norm2.weight', shape: [2], count: 2, offset: 2, role: 'trainable' },
    ]);
    expect(unsupported).toEqual([]);
  });
});
