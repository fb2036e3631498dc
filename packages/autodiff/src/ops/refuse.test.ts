import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../file/writer.ts';
import { gradient } from '../gradient.ts';
import { Builder } from '../graph/builder.ts';
import type { AttributeInput, Value } from '../graph/graph.ts';
import { boolTensor, intTensor } from '../graph/tensor.ts';
import { OPERATORS, infer } from './registry.ts';

const WRITER = { producer: 'test', version: '1' };

/** Asks for the gradient of what `make` writes with respect to a 4-D `x`. */
function ask(make: (b: Builder, x: Value) => Value): () => void {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', [2, 3, 4, 4]);
  const y = b.named(make(b, x), 'y');
  const known = { ...y, dtype: y.dtype ?? ('float32' as const) };
  return () => gradient(writeModel(b.graph('node', [known]), WRITER), ['y'], ['x']);
}

type Attributes = Readonly<Record<string, AttributeInput>>;

const node =
  (op: string, attributes: Attributes, ...rest: readonly Value[]) =>
  (b: Builder, x: Value): Value =>
    b.op(op, [x, ...rest], attributes);

test('every node in the way is named at once, with what to do', () => {
  const several = ask((b, x) => {
    const sampled = b.op('GridSample', [x, b.input('grid', 'float32', [2, 4, 4, 2])]);
    const traced = b.op('Einsum', [x], { equation: 'abcc->abc' });
    return b.op('Add', [b.op('Det', [sampled]), b.op('ReduceSum', [traced], { keepdims: 0 })]);
  });
  expect(several).toThrow(
    /3 nodes cannot be trained:\n.*GridSample.*Resize[^]*Einsum.*index twice[^]*Det/,
  );
});

describe('operators without a gradient say what to do instead', () => {
  const advised = [...OPERATORS.values()].filter(
    ({ gradient: rule, lower }) => rule === undefined && lower === undefined,
  );
  test.each(advised.map(({ op, advice }) => [op, advice ?? 'advice'] as const))(
    '%s',
    (op, advice) => {
      expect(ask(node(op, {}))).toThrow(advice);
    },
  );
});

describe('nodes that a rule cannot follow are refused', () => {
  test.each<[string, (b: Builder, x: Value) => Value, RegExp]>([
    ['Einsum with a diagonal', node('Einsum', { equation: 'abcc->abc' }), /one index twice/],
    [
      'ScatterND that multiplies',
      (b, x) =>
        b.op(
          'ScatterND',
          [x, b.constant(intTensor([1, 1], [0])), b.op('Slice', [x, b.ints([0]), b.ints([1])])],
          {
            reduction: 'mul',
          },
        ),
      /reduction is "mul"/,
    ],
    ['Mod of integers on floats', (b, x) => b.op('Mod', [x, b.scalar(2)]), /fmod=1/],
    [
      'a reduction over computed axes',
      (b, x) => b.op('ReduceSum', [x, b.input('axes', 'int64', [1])]),
      /axes are computed/,
    ],
    [
      'Dropout whose mode is an input',
      (b, x) => b.op('Dropout', [x, b.scalar(0.5), b.input('training', 'bool', [])]),
      /make it a constant/,
    ],
    [
      'an operator that nobody knows',
      (b, x) => b.op('Relu', [b.op('Invented', [x])]),
      /it has no gradient here/,
    ],
  ])('%s', (_, make, message) => {
    expect(ask(make)).toThrow(message);
  });
});

test('an operator without a gradient may stand before all weights', () => {
  const masked = ask((b, x) => {
    const chosen = b.op('NonZero', [b.constant(boolTensor([3], [true, false, true]))]);
    return b.op('Gather', [x, b.op('Squeeze', [chosen, b.ints([0])])], { axis: 1 });
  });
  expect(masked).not.toThrow();
});
