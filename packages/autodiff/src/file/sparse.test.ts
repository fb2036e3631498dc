import { describe, expect, test } from '@jest/globals';
import { exportModel } from '../export.ts';
import { initialParameters, inspectModel } from '../inspect.ts';
import { Builder } from '../graph/builder.ts';
import { floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';
import { infer } from '../ops/registry.ts';
import { decodeModel, encodeModel } from './codec.ts';
import { writeModel, writeTensor } from './writer.ts';

/** y = x · w with w [2, 3] given by its values and their places. */
function sparse(indices: Tensor, dims: readonly number[] = [2, 3]): Uint8Array {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', ['batch', 3]);
  const w = b.constant(floatTensor([2, 3], new Float32Array(6)), 'w');
  const y = b.op('Gemm', [x, w], { transB: 1 }, 'y');
  const proto = decodeModel(writeModel(b.graph('sparse', [y]), { producer: 'test', version: '1' }));
  const values = floatTensor([2], [5, 7]);
  proto.graph!.initializer = [];
  proto.graph!.sparseInitializer = [
    {
      dims: [...dims] as never[],
      values: writeTensor('w', values) as never,
      indices: writeTensor('', indices) as never,
    },
  ];
  return encodeModel(proto);
}

describe('a sparse initializer', () => {
  test.each([
    ['one number each', intTensor([2], [1, 5])],
    ['one number for each axis', intTensor([2, 2], [0, 1, 1, 2])],
  ])('becomes a dense weight, with places of %s', (_, indices) => {
    const bytes = sparse(indices);
    expect([...initialParameters(bytes)]).toEqual([0, 5, 0, 0, 0, 7]);
    const trained = Float32Array.of(1, 2, 3, 4, 5, 6);
    expect(initialParameters(exportModel(bytes, trained))).toEqual(trained);
  });

  test.each([
    [intTensor([2], [1, 6]), [2, 3], 'MODEL_INVALID'],
    [intTensor([2], [1, -1]), [2, 3], 'MODEL_INVALID'],
    [intTensor([2], [1, 1]), [2, 3], 'MODEL_INVALID'],
    [intTensor([1], [1]), [2, 3], 'MODEL_INVALID'],
    [intTensor([2, 2], [0, 1, 2, 0]), [2, 3], 'MODEL_INVALID'],
    [intTensor([2], [0, 1]), [2 ** 20, 2 ** 20], 'MODEL_TOO_LARGE'],
    [intTensor([2], [0, 1]), [-2, -3], 'MODEL_INVALID'],
  ])('with contradictions is refused', (indices, dims, code) => {
    expect(() => inspectModel(sparse(indices, dims))).toThrow(expect.objectContaining({ code }));
  });
});
