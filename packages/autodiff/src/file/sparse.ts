import { MedleyError } from '@medley/kit';
import type { onnx } from '../generated/onnx.js';
import { byteSize } from '../graph/dtype.ts';
import { elementCount, numbersOf, type Tensor } from '../graph/tensor.ts';
import { safeInteger } from './codec.ts';
import { readTensor } from './reader.ts';

/** Most elements of a dense tensor made of a sparse one: a few bytes can ask for any size. */
const MAX_ELEMENTS = 2 ** 26;

/**
 * Turns the sparse initializers of a graph into dense ones, in place. Training fills their zeros.
 *
 * Throws MODEL_INVALID for places outside the shape or given twice, and MODEL_TOO_LARGE for more than
 * 67,108,864 elements.
 */
export function densify(graph: onnx.IGraphProto): void {
  const sparse = graph.sparseInitializer ?? [];
  if (sparse.length === 0) return;
  const dense = sparse.map(denseOf);
  graph.initializer = [...(graph.initializer ?? []), ...dense];
  graph.sparseInitializer = [];
}

function denseOf(proto: onnx.ISparseTensorProto): onnx.ITensorProto {
  const name = proto.values?.name ?? '';
  const where = `sparse initializer "${name}"`;
  const dims = (proto.dims ?? []).map((dim) => safeInteger(dim, `a size of ${where}`));
  const count = elementCount(dims);
  if (dims.some((dim) => dim < 0)) throw invalid(where, 'has an impossible shape');
  if (!(count <= MAX_ELEMENTS)) {
    throw new MedleyError('MODEL_TOO_LARGE', `${where} has more than ${MAX_ELEMENTS} elements`);
  }
  const values = readTensor(proto.values ?? {}, where);
  const size = byteSize(values.dtype, 1);
  if (byteSize(values.dtype, 8) !== 8 * size) {
    throw invalid(where, 'has elements smaller than a byte');
  }
  const indices = readTensor(proto.indices ?? {}, `the places of ${where}`);
  const places = placesOf(indices, dims, where);
  if (places.length !== elementCount(values.dims) || new Set(places).size !== places.length) {
    throw invalid(where, 'has not one place for each value');
  }
  const bytes = new Uint8Array(count * size);
  places.forEach((at, i) => {
    bytes.set(values.bytes.subarray(i * size, (i + 1) * size), at * size);
  });
  const dataType = proto.values?.dataType ?? 0;
  return { name, dims: [...dims] as never[], dataType, rawData: bytes };
}

/** Places in the dense tensor, row-major; the file gives them so, or as one number for each axis. */
function placesOf(indices: Tensor, dims: readonly number[], where: string): readonly number[] {
  const numbers = indices.dtype === 'int64' ? numbersOf(indices) : undefined;
  if (numbers === undefined) throw invalid(where, 'has places that are no integers');
  const isByAxis = indices.dims.length === 2;
  const sizes = isByAxis ? dims : [elementCount(dims)];
  if (isByAxis && indices.dims[1] !== dims.length)
    throw invalid(where, 'has places of another rank');
  return Array.from({ length: indices.dims[0] ?? 0 }, (_, i) => {
    const place = numbers.slice(i * sizes.length, (i + 1) * sizes.length);
    if (place.some((at, axis) => at < 0 || at >= sizes[axis]!)) {
      throw invalid(where, 'has a place outside its shape');
    }
    return place.reduce((sum, at, axis) => sum * sizes[axis]! + at, 0);
  });
}

function invalid(where: string, reason: string): MedleyError {
  return new MedleyError('MODEL_INVALID', `${where} ${reason}`);
}
