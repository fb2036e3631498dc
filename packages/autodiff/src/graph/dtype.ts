/** Element types by the number the ONNX file uses (TensorProto.DataType), with bits per element. */
const TABLE = [
  ['float32', 1, 32],
  ['uint8', 2, 8],
  ['int8', 3, 8],
  ['uint16', 4, 16],
  ['int16', 5, 16],
  ['int32', 6, 32],
  ['int64', 7, 64],
  ['string', 8, 0],
  ['bool', 9, 8],
  ['float16', 10, 16],
  ['float64', 11, 64],
  ['uint32', 12, 32],
  ['uint64', 13, 64],
  ['complex64', 14, 64],
  ['complex128', 15, 128],
  ['bfloat16', 16, 16],
  ['float8e4m3fn', 17, 8],
  ['float8e4m3fnuz', 18, 8],
  ['float8e5m2', 19, 8],
  ['float8e5m2fnuz', 20, 8],
  ['uint4', 21, 4],
  ['int4', 22, 4],
  ['float4e2m1', 23, 4],
  ['float8e8m0', 24, 8],
  ['uint2', 25, 2],
  ['int2', 26, 2],
] as const;

/** Element type of a tensor. */
export type DType = (typeof TABLE)[number][0];

const BY_CODE = new Map<number, DType>(TABLE.map(([name, code]) => [code, name]));
const CODES = new Map<DType, number>(TABLE.map(([name, code]) => [name, code]));
const BITS = new Map<DType, number>(TABLE.map(([name, , bits]) => [name, bits]));

/** The type with this number in the file, or undefined when ONNX defines none. */
export function dtypeOf(code: number): DType | undefined {
  return BY_CODE.get(code);
}

/** The number that stands for `dtype` in the file. */
export function dtypeCode(dtype: DType): number {
  return CODES.get(dtype)!;
}

/** Bytes that `count` elements take in raw form; 0 for strings, which have none. */
export function byteSize(dtype: DType, count: number): number {
  return Math.ceil((BITS.get(dtype)! * count) / 8);
}

/** True for types through which gradients flow. */
export function isFloat(dtype: DType | undefined): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';
}
