import { MedleyError } from '@medley/kit';
import { byteSize, type DType } from './dtype.ts';

/** A constant of a graph: row-major, little-endian bytes. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
}

/** Number of elements of a fully known shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A float32 tensor with a copy of `values`. */
export function floatTensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  const data = Float32Array.from(values);
  return checked({ dtype: 'float32', dims, bytes: bytesOf(data) });
}

/** A float64 tensor with a copy of `values`. */
export function doubleTensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return checked({ dtype: 'float64', dims, bytes: bytesOf(Float64Array.from(values)) });
}

/** An int64 tensor of safe integers. */
export function intTensor(dims: readonly number[], values: readonly number[]): Tensor {
  return checked({ dtype: 'int64', dims, bytes: bytesOf(BigInt64Array.from(values.map(BigInt))) });
}

/** A bool tensor. */
export function boolTensor(dims: readonly number[], values: readonly boolean[]): Tensor {
  return checked({ dtype: 'bool', dims, bytes: Uint8Array.from(values.map(Number)) });
}

/** The elements of a float32 tensor, copied. Throws MODEL_INVALID for another type. */
export function floatsOf(tensor: Tensor): Float32Array {
  if (tensor.dtype !== 'float32') {
    throw new MedleyError('MODEL_INVALID', `a float32 tensor was expected, not ${tensor.dtype}`);
  }
  return new Float32Array(new Uint8Array(tensor.bytes).buffer);
}

/**
 * The elements of any real tensor as numbers; undefined for types without a JavaScript number
 * (16-bit floats, complex, packed). int64 beyond 2^53 saturates, which keeps "to the end" sentinels.
 */
export function numbersOf(tensor: Tensor): readonly number[] | undefined {
  const buffer = new Uint8Array(tensor.bytes).buffer;
  switch (tensor.dtype) {
    case 'float32':
      return [...new Float32Array(buffer)];
    case 'float64':
      return [...new Float64Array(buffer)];
    case 'int64':
      return [...new BigInt64Array(buffer)].map(saturate);
    case 'uint64':
      return [...new BigUint64Array(buffer)].map(saturate);
    case 'int32':
      return [...new Int32Array(buffer)];
    case 'uint32':
      return [...new Uint32Array(buffer)];
    case 'int16':
      return [...new Int16Array(buffer)];
    case 'uint16':
      return [...new Uint16Array(buffer)];
    case 'int8':
      return [...new Int8Array(buffer)];
    case 'uint8':
    case 'bool':
      return [...new Uint8Array(buffer)];
    default:
      return undefined;
  }
}

/** The bytes behind a typed array, without copying. */
export function bytesOf(data: NodeJS.TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function saturate(value: bigint): number {
  const limit = Number.MAX_SAFE_INTEGER;
  return value > BigInt(limit) ? limit : value < -BigInt(limit) ? -limit : Number(value);
}

function checked(tensor: Tensor): Tensor {
  if (tensor.bytes.length !== byteSize(tensor.dtype, elementCount(tensor.dims))) {
    throw new MedleyError(
      'MODEL_INVALID',
      `${tensor.bytes.length} bytes do not fill a ${tensor.dtype} tensor of shape [${tensor.dims.join(', ')}]`,
    );
  }
  return tensor;
}
