import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Builder } from '../graph/builder.ts';
import { attributes as toAttributes, type AttributeInput, type Value } from '../graph/graph.ts';
import { boolTensor, floatTensor, intTensor, numbersOf, type Tensor } from '../graph/tensor.ts';
import { initialParameters, inspectModel } from '../inspect.ts';
import { readModel } from '../model.ts';
import { infer } from '../ops/registry.ts';
import { Session } from '../session.ts';
import { evaluate } from './evaluate.ts';
import { writeModel } from './writer.ts';

const ints = (...values: number[]): Tensor => intTensor([values.length], values);
const grid = intTensor([2, 3], [1, -2, 3, 4, 5, -6]);
const reals = floatTensor([2, 3], [0.5, -2.5, 3, 4.25, 5, -6]);

const FORMS: readonly (readonly [
  string,
  readonly Tensor[],
  Readonly<Record<string, AttributeInput>>?,
])[] = [
  ['Add', [grid, ints(1, 2, 3)]],
  ['Sub', [grid, ints(1, 2, 3)]],
  ['Mul', [grid, intTensor([], [-3])]],
  ['Div', [grid, intTensor([2, 1], [2, -4])]],
  ['Div', [reals, floatTensor([], [4])]],
  ['Max', [grid, ints(2, 2, 2)]],
  ['Min', [grid, ints(2, 2, 2)]],
  ['Mod', [grid, ints(4, -4, 4)]],
  ['Mod', [reals, floatTensor([], [2])], { fmod: 1 }],
  ['Abs', [grid]],
  ['LessOrEqual', [grid, ints(1, 5, 3)]],
  ['GreaterOrEqual', [grid, ints(1, 5, 3)]],
  ['Equal', [grid, ints(1, 5, 3)]],
  ['Less', [grid, ints(1, 5, 3)]],
  ['Greater', [reals, floatTensor([3], [1, 5, 3])]],
  ['And', [boolTensor([2], [true, false]), boolTensor([2], [true, true])]],
  ['Or', [boolTensor([2], [true, false]), boolTensor([2], [false, false])]],
  ['Not', [boolTensor([2], [true, false])]],
  ['Neg', [grid]],
  ['Floor', [reals]],
  ['Ceil', [reals]],
  ['Sqrt', [floatTensor([2], [2, 9])]],
  ['Identity', [grid]],
  ['Cast', [reals], { to: 7 }],
  ['Cast', [grid], { to: 1 }],
  ['Cast', [reals], { to: 9 }],
  ['Cast', [grid], { to: 6 }],
  ['Reshape', [grid, ints(3, -1)]],
  ['Reshape', [grid, ints(0, 1, -1)]],
  ['Transpose', [grid]],
  ['Transpose', [intTensor([1, 2, 3], [1, 2, 3, 4, 5, 6])], { perm: [2, 0, 1] }],
  ['Slice', [grid, ints(0), ints(2), ints(1)]],
  ['Slice', [grid, ints(-1, 5), ints(-9, 0), ints(0, 1), ints(-1, -2)]],
  ['Concat', [grid, grid], { axis: 1 }],
  ['Concat', [grid, grid], { axis: -2 }],
  ['Gather', [grid, intTensor([2, 2], [0, -1, 1, 1])], { axis: 1 }],
  ['Gather', [grid, intTensor([], [1])]],
  ['ConstantOfShape', [ints(2, 2)], { value: intTensor([1], [7]) }],
  ['ConstantOfShape', [ints(3)]],
  ['Range', [intTensor([], [2]), intTensor([], [11]), intTensor([], [3])]],
  ['Unsqueeze', [grid, ints(0, 3)]],
  ['Squeeze', [intTensor([1, 2, 1], [4, 5]), ints(-1)]],
  ['Squeeze', [intTensor([1, 2, 1], [4, 5])]],
  ['Shape', [grid]],
  ['Shape', [grid], { start: -1 }],
  ['Size', [grid]],
  ['Expand', [ints(1, 2, 3), ints(2, 1)]],
  ['Where', [boolTensor([2, 1], [true, false]), grid, ints(7, 8, 9)]],
];

describe('a computation on constants gives what the runtime gives', () => {
  test.each(FORMS)('%s of %j %j', async (op, tensors, attributes = {}) => {
    const ours = evaluate({ op, attributes: toAttributes(attributes) }, tensors)!;
    const b = new Builder(infer);
    const switchOn = b.input('x', 'bool', []);
    const inputs = tensors.map((tensor, i) => b.constant(tensor, `c${i}`));
    const y = b.adopt({
      ...b.op(op, inputs, attributes, 'y'),
      dtype: ours.dtype,
      shape: ours.dims,
    });
    const bytes = writeModel(b.graph('one', [y, b.named(switchOn, 'z')]), {
      producer: 'test',
      version: '1',
    });
    const session = await Session.open(bytes);
    const feeds = { x: { dtype: 'bool', dims: [], data: Uint8Array.of(1) } };
    const theirs = (await session.run(feeds, ['y']))['y']!;
    await session.close();
    expect([...theirs.dims]).toEqual([...ours.dims]);
    expect([...theirs.data].map(Number)).toEqual(numbersOf(ours));
  });

  test('or nothing for what makes no sense, whatever the numbers are', () => {
    const small = fc.integer({ min: -3, max: 4 });
    const tensor = fc.array(small, { maxLength: 6 }).map((values) => ints(...values));
    const operators = [...new Set(FORMS.map(([op]) => op))];
    const property = fc.property(
      fc.constantFrom(...operators),
      fc.array(tensor, { maxLength: 5 }),
      fc.record({ axis: small, to: small, start: small, perm: fc.array(small, { maxLength: 3 }) }),
      (op, tensors, given) => {
        const result = evaluate({ op, attributes: toAttributes(given) }, tensors);
        if (result === undefined) return;
        const count = result.dims.reduce((product, size) => product * size, 1);
        expect(numbersOf(result)).toHaveLength(count);
      },
    );
    fc.assert(property, { numRuns: 3000, seed: 4 });
  });
});

/** y = x · w with what `between` puts between. */
function model(between: (b: Builder, x: Value, w: Value) => Value): Uint8Array {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', ['batch', 2, 3]);
  const y = between(b, x, b.constant(floatTensor([6], [1, 2, 3, 4, 5, 6]), 'w'));
  return writeModel(b.graph('folded', [b.named(y, 'y')]), { producer: 'test', version: '1' });
}

describe('a graph', () => {
  test('loses the arithmetic on known sizes', () => {
    const bytes = model((b, x, w) => {
      const sizes = b.op('Shape', [x]);
      const rows = b.op('Gather', [sizes, b.constant(intTensor([], [1]))], { axis: 0 });
      const target = b.op('Concat', [b.op('Unsqueeze', [rows, b.ints([0])]), b.ints([3])], {
        axis: 0,
      });
      return b.op('Mul', [x, b.op('Reshape', [w, target])]);
    });
    const { graph, constants } = readModel(bytes);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Shape', 'Reshape', 'Mul', 'Identity']);
    expect([...constants.values()].map((tensor) => numbersOf(tensor))).toContainEqual([2, 3]);
  });

  test('keeps weights that are cut and joined again', () => {
    const bytes = model((b, x, w) => {
      const part = (from: number, to: number) => b.op('Slice', [w, b.ints([from]), b.ints([to])]);
      const joined = b.op('Concat', [part(3, 6), part(0, 3)], { axis: 0 });
      return b.op('Mul', [x, b.op('Reshape', [joined, b.ints([2, 3])])]);
    });
    expect(readModel(bytes).graph.nodes).toHaveLength(6);
    expect(inspectModel(bytes).parameters.map(({ name }) => name)).toEqual(['w']);
    expect([...initialParameters(bytes)]).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
