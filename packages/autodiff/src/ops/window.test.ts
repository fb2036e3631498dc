import { describe, expect, test } from '@jest/globals';
import { attributes, type AttributeInput, type Value } from '../graph/graph.ts';
import type { Shape } from '../graph/shape.ts';
import { infer, OPERATORS } from './registry.ts';

const float = (shape: Shape): Value => ({ name: 'x', dtype: 'float32', shape });

function context(op: string, inputs: readonly Shape[], given: Record<string, AttributeInput>) {
  let count = 0;
  return {
    op,
    attributes: attributes(given),
    inputs: inputs.map(float),
    outputCount: 1,
    fresh: () => `?${++count}`,
  };
}

const shapeOf = (
  op: string,
  inputs: readonly Shape[],
  given: Record<string, AttributeInput> = {},
) => infer('', context(op, inputs, given))[0]!.shape;

describe('sizes of windows', () => {
  test('the batch keeps its name and spatial sizes are numbers when the input has them', () => {
    const w = [16, 3, 3, 3];
    expect(
      shapeOf('Conv', [['batch', 3, 32, 31], w], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    ).toEqual(['batch', 16, 16, 16]);
    expect(shapeOf('ConvTranspose', [['batch', 16, 8, 8], w], { strides: [2, 2] })).toEqual([
      'batch',
      3,
      17,
      17,
    ]);
    expect(
      shapeOf('MaxPool', [['batch', 8, 7, 7]], { kernel_shape: [2, 2], strides: [2, 2] }),
    ).toEqual(['batch', 8, 3, 3]);
  });

  test('a name stands for the result where the padding keeps the size', () => {
    const x = ['batch', 3, 'height', 'width'];
    const w = [4, 3, 3, 5];
    expect(shapeOf('Conv', [x, w], { pads: [1, 2, 1, 2] })).toEqual([
      'batch',
      4,
      'height',
      'width',
    ]);
    expect(shapeOf('Conv', [x, w], { auto_pad: 'SAME_LOWER' })).toEqual([
      'batch',
      4,
      'height',
      'width',
    ]);
    expect(shapeOf('Conv', [x, w])).toEqual(['batch', 4, '?1', '?2']);
  });

  test('with ceil_mode no window starts behind the input', () => {
    const pool = { kernel_shape: [2], strides: [3], ceil_mode: 1 };
    expect(shapeOf('MaxPool', [[1, 1, 7]], pool)).toEqual([1, 1, 3]);
    expect(shapeOf('MaxPool', [[1, 1, 6]], { ...pool, pads: [0, 1] })).toEqual([1, 1, 2]);
  });

  test('a kernel that does not fit and lists of the wrong length are refused', () => {
    expect(() =>
      shapeOf('Conv', [
        [1, 1, 2],
        [1, 1, 3],
      ]),
    ).toThrow('larger than its input');
    expect(() =>
      shapeOf(
        'Conv',
        [
          [1, 1, 4],
          [1, 1, 3],
        ],
        { strides: [1, 1] },
      ),
    ).toThrow('"strides" has 2 entries, not 1');
  });

  test('what cannot be differentiated says why', () => {
    const refusal = (op: string, inputs: readonly Shape[], given: Record<string, AttributeInput>) =>
      OPERATORS.get(op)!.refuse!(context(op, inputs, given));
    const open = [
      ['n', 2, 9],
      ['o', 2, 'k'],
    ];
    expect(refusal('Conv', open, { auto_pad: 'SAME_UPPER' })).toContain('kernel_shape');
    expect(refusal('Conv', open, {})).toBeUndefined();
    expect(refusal('ConvTranspose', open, { output_shape: [20] })).toContain('kernel_shape');
    expect(refusal('Resize', [['n', 2, 9]], { keep_aspect_ratio_policy: 'not_larger' })).toContain(
      'aspect ratio',
    );
    const crop = { coordinate_transformation_mode: 'tf_crop_and_resize' };
    expect(refusal('Resize', [['n', 2, 9]], crop)).toContain('crops');
  });
});
