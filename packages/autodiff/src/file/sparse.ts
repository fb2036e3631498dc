import { MedleyError } from '@medley/kit';
import type { onnx } from '../generated/onnx.js';
import { byteSize } from '../graph/dtype.ts';
import { bytesOf, elementCount, numbersOf } from '../graph/tensor.ts';
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
  const invalid = (reason: string) => new MedleyError('MODEL_INVALID', `${where} ${reason}`);
  const dims = (proto.dims ?? []).map((dim) => safeInteger(dim, `a size of ${where}`));
  const count = elementCount(dims);
  if (dims.some((dim) => dim < 0)) throw invalid('has an impossible shape');
  if (!(count <= MAX_ELEMENTS)) {
    throw new MedleyError('MODEL_TOO_LARGE', `${where} has more than ${MAX_ELEMENTS} elements`);
  }
  const values = readTensor(proto.values ?? {}, where);
  const indices = readTensor(proto.indices ?? {}, `the places of ${where}`);
  const places = indices.dtype === 'int64' ? numbersOf(indices) : undefined;
  const given = elementCount(values.dims);
  const width = indices.dims.length === 2 ? dims.length : 1;
  if (places?.length !== given * width) throw invalid('has not one place for each value');
  const size = byteSize(values.dtype, 1);
  if (byteSize(values.dtype, 8) !== 8 * size) throw invalid('has elements smaller than a byte');
  const bytes = new Uint8Array(count * size);
  const seen = new Set<number>();
  for (let i = 0; i < given; i++) {
    const place = places.slice(i * width, (i + 1) * width);
    const isInside = place.every((at, axis) => at >= 0 && at < (width === 1 ? count : dims[axis]!));
    const at =
      width === 1 ? place[0]! : place.reduce((sum, part, axis) => sum * dims[axis]! + part, 0);
    if (!isInside || seen.has(at))
      throw invalid('has a place outside its shape, or one place twice');
    seen.add(at);
    bytes.set(bytesOf(values.bytes).subarray(i * size, (i + 1) * size), at * size);
  }
  return {
    name,
    dims: [...dims] as never[],
    dataType: proto.values?.dataType ?? 0,
    rawData: bytes,
  };
}
