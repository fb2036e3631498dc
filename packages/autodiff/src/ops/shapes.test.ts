import { describe, expect, test } from '@jest/globals';
import { Builder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { intTensor } from '../graph/tensor.ts';
import { infer } from './registry.ts';

const index = (b: Builder, at: number): Value => b.constant(intTensor([], [at]));

/** The size of one axis as PyTorch's exporters ask for it. */
const size = (b: Builder, x: Value, axis: number): Value =>
  b.op('Gather', [b.op('Shape', [x]), index(b, axis)], { axis: 0 });

const vector = (b: Builder, ...parts: Value[]): Value =>
  b.op(
    'Concat',
    parts.map((part) => (part.shape!.length === 0 ? b.op('Unsqueeze', [part, b.ints([0])]) : part)),
    { axis: 0 },
  );

describe('sizes are followed through the arithmetic of shapes', () => {
  test.each<[string, Shape, (b: Builder, x: Value) => Value, Shape]>([
    [
      'heads split off and joined again',
      ['batch', 'time', 16],
      (b, x) => {
        const [n, t] = [size(b, x, 0), size(b, x, 1)];
        const heads = b.op('Reshape', [x, vector(b, n, t, b.ints([4]), b.ints([-1]))]);
        const turned = b.op('Transpose', [heads], { perm: [0, 2, 1, 3] });
        const flat = b.op('Reshape', [
          turned,
          vector(b, b.op('Mul', [n, index(b, 4)]), t, b.ints([-1])),
        ]);
        return b.op('Reshape', [flat, vector(b, n, b.ints([-1]), t, b.ints([4]))]);
      },
      ['batch', 4, 'time', 4],
    ],
    [
      'sizes divided in the graph',
      [8, 'time', 16],
      (b, x) => {
        const depth = b.op('Div', [size(b, x, 2), index(b, 4)]);
        return b.op('Reshape', [x, vector(b, b.ints([0]), b.ints([0]), b.ints([4]), depth)]);
      },
      [8, 'time', 4, 4],
    ],
    [
      'expand with -1 through Where, as TorchScript writes it',
      ['batch', 1, 6],
      (b, x) => {
        const wanted = b.ints([-1, 3, 6]);
        const ones = b.op('ConstantOfShape', [b.ints([3])], { value: intTensor([1], [1]) });
        const asked = b.op('Equal', [wanted, b.ints([-1])]);
        return b.op('Expand', [x, b.op('Where', [asked, ones, wanted])]);
      },
      ['batch', 3, 6],
    ],
    [
      'a class token in front',
      ['batch', 9, 6],
      (b, x) => {
        const token = b.input('token', 'float32', [1, 1, 6]);
        const target = vector(b, size(b, x, 0), b.ints([1]), b.ints([6]));
        return b.op('Concat', [b.op('Expand', [token, target]), x], { axis: 1 });
      },
      ['batch', 10, 6],
    ],
    [
      'a slice to a size of another tensor',
      [1, 40, 6],
      (b, x) => {
        const other = b.input('other', 'float32', ['batch', 7]);
        const bounds = [b.ints([0]), vector(b, size(b, other, 1)), b.ints([1])];
        return b.op('Slice', [x, ...bounds]);
      },
      [1, 7, 6],
    ],
    [
      'patches in a row',
      ['batch', 8, 4, 4],
      (b, x) => {
        const shape = b.op('Slice', [b.op('Shape', [x]), b.ints([0]), b.ints([2])]);
        const rows = b.op('Reshape', [x, vector(b, shape, b.ints([-1]))]);
        return b.op('Transpose', [rows], { perm: [0, 2, 1] });
      },
      ['batch', 16, 8],
    ],
    [
      'positions counted up to a size',
      ['batch', 'time'],
      (b, x) => b.op('Range', [index(b, 0), size(b, x, 1), index(b, 1)]),
      ['time'],
    ],
    [
      'everything flattened, and back',
      ['batch', 3, 'time'],
      (b, x) => b.op('Reshape', [b.op('Flatten', [x], { axis: 3 }), b.op('Shape', [x])]),
      ['batch', 3, 'time'],
    ],
    [
      'split in equal parts',
      ['batch', 10],
      (b, x) => b.many('Split', [x], { axis: 1, num_outputs: 3 }, 3)[2]!,
      ['batch', 2],
    ],
    [
      'tiled and padded',
      ['batch', 5],
      (b, x) => b.op('Pad', [b.op('Tile', [x, b.ints([1, 3])]), b.ints([0, 1, 0, 2])]),
      ['batch', 18],
    ],
  ])('%s', (_, shape, make, expected) => {
    const b = new Builder(infer);
    expect(make(b, b.input('x', 'float32', shape)).shape).toEqual(expected);
  });
});

test('equal formulas give equal sizes, so that sums of their tensors need no search for axes', () => {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', ['batch', 'time', 4]);
  const joined = (): Value => b.op('Reshape', [x, b.ints([-1, 4])]);
  const [one, other] = [joined(), joined()];
  expect(one.shape).toEqual(other.shape);
  expect(b.op('Add', [one, other]).shape).toEqual(one.shape);
});
