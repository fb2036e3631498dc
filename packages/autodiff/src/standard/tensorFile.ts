import { MedleyError } from '@medley/kit';
import protobuf from 'protobufjs/minimal.js';
import { readTensor } from '../file/reader.ts';
import { onnx } from '../generated/onnx.js';
import type { Elements, RuntimeTensor } from '../session.ts';

const ARRAYS: Readonly<Record<string, new (buffer: ArrayBuffer) => Elements>> = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int8: Int8Array,
};

/**
 * A tensor as ONNX's test data holds it: one serialized TensorProto. Throws MODEL_UNREADABLE, and
 * MODEL_INVALID for an element type without a JavaScript array.
 */
export function readTensorFile(bytes: Uint8Array): RuntimeTensor {
  const { dtype, dims, bytes: content } = readTensor(decode(bytes), 'the tensor');
  const wanted = ARRAYS[dtype];
  if (wanted === undefined)
    throw new MedleyError('MODEL_INVALID', `the tensor is of type ${dtype}, which is not read`);
  return { dtype, dims, data: new wanted(new Uint8Array(content).buffer) };
}

function decode(bytes: Uint8Array): onnx.TensorProto {
  try {
    // A plain view: slices of a Buffer would share its memory.
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return onnx.TensorProto.decode(protobuf.Reader.create(view));
  } catch (cause) {
    throw new MedleyError('MODEL_UNREADABLE', 'the bytes are not a whole TensorProto', { cause });
  }
}
