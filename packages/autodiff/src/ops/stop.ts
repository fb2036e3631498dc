import { constantOf, intOf, intsOf, type Attribute } from '../graph/graph.ts';
import { dtypeOf, type DType } from '../graph/dtype.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { Operator } from '../graph/operator.ts';
import { axisOf, type Dim } from '../graph/shape.ts';
import { product } from '../graph/symbol.ts';
import { numbersOf } from '../graph/tensor.ts';
import { inferElementwise, inferSame } from './broadcast.ts';

const boolean = (c: InferContext): readonly Inferred[] => inferElementwise(c, 'bool');
const booleanSame = ({ inputs: [x] }: InferContext): readonly Inferred[] => [
  { dtype: 'bool', shape: x?.shape },
];

function inferShape(c: InferContext): readonly Inferred[] {
  const shape = c.inputs[0]?.shape;
  if (shape === undefined) return [{ dtype: 'int64', shape: [c.fresh()] }];
  const start = c.attributes.get('start')?.value as number | undefined;
  const end = c.attributes.get('end')?.value as number | undefined;
  const content = shape.slice(start ?? 0, end ?? shape.length);
  return [{ dtype: 'int64', shape: [content.length], content }];
}

function inferSize({ inputs: [x] }: InferContext): readonly Inferred[] {
  const content = x?.shape === undefined ? undefined : [product(x.shape)];
  return [{ dtype: 'int64', shape: [], content }];
}

function inferArg(c: InferContext): readonly Inferred[] {
  const shape = c.inputs[0]?.shape;
  const axis = axisOf(intOf(c, 'axis', 0), shape?.length ?? 0);
  if (shape === undefined || axis === undefined) return [{ dtype: 'int64', shape: undefined }];
  const kept = intOf(c, 'keepdims', 1) === 1 ? [1] : [];
  return [{ dtype: 'int64', shape: [...shape.slice(0, axis), ...kept, ...shape.slice(axis + 1)] }];
}

function inferNonZero(c: InferContext): readonly Inferred[] {
  return [{ dtype: 'int64', shape: [c.inputs[0]?.shape?.length ?? c.fresh(), c.fresh()] }];
}

function inferOneHot(c: InferContext): readonly Inferred[] {
  const [indices, depth, values] = c.inputs;
  const shape = indices?.shape;
  if (shape === undefined) return [{ dtype: values?.dtype, shape: undefined }];
  const axis = axisOf(intOf(c, 'axis', -1), shape.length + 1) ?? shape.length;
  const size = constantOf(depth)?.[0] ?? c.fresh();
  return [{ dtype: values?.dtype, shape: [...shape.slice(0, axis), size, ...shape.slice(axis)] }];
}

function inferRange(c: InferContext): readonly Inferred[] {
  const [start, limit, delta] = c.inputs.map((input) => constantOf(input)?.[0]);
  const known = start !== undefined && limit !== undefined && delta !== undefined && delta !== 0;
  const size = known ? Math.max(0, Math.ceil((limit - start) / delta)) : rangeSize(c);
  const isShort = typeof size === 'number' && size <= 64 && [start, delta].every(Number.isInteger);
  const content = isShort ? Array.from({ length: size }, (_, i) => start! + i * delta!) : undefined;
  return [{ dtype: c.inputs[0]?.dtype, shape: [size], content }];
}

/** Range(0, n, 1) has n elements whatever n is. */
function rangeSize(c: InferContext): Dim {
  const [start, limit, delta] = c.inputs.map((input) => input?.content?.[0]);
  return start === 0 && delta === 1 && limit !== undefined ? limit : c.fresh();
}

function inferFilled(c: InferContext): readonly Inferred[] {
  const value: Attribute | undefined = c.attributes.get('value');
  const dtype = value?.kind === 'tensor' ? value.value.dtype : 'float32';
  const shape = c.inputs[0]?.content;
  const fill = value?.kind === 'tensor' ? numbersOf(value.value)?.[0] : undefined;
  const length = shape?.length === 1 ? shape[0] : undefined;
  const isShort = Number.isInteger(fill) && typeof length === 'number' && length <= 64;
  const content = isShort ? Array.from({ length }, () => fill!) : undefined;
  return [{ dtype, shape, content }];
}

function inferRandom(c: InferContext): readonly Inferred[] {
  const code = intOf(c, 'dtype', 0);
  const dtype: DType | undefined = code === 0 ? c.inputs[0]?.dtype : dtypeOf(code);
  return [{ dtype, shape: c.inputs[0]?.shape }];
}

function inferDrawn(c: InferContext): readonly Inferred[] {
  return [{ dtype: dtypeOf(intOf(c, 'dtype', 1)), shape: intsOf(c, 'shape') }];
}

function inferMultinomial(c: InferContext): readonly Inferred[] {
  const count = c.inputs[0]?.shape?.[0] ?? c.fresh();
  return [{ dtype: dtypeOf(intOf(c, 'dtype', 6)), shape: [count, intOf(c, 'sample_size', 1)] }];
}

const RULES: Readonly<Record<string, Operator['infer']>> = {
  Sign: inferSame,
  Floor: inferSame,
  Ceil: inferSame,
  Round: inferSame,
  Equal: boolean,
  Less: boolean,
  LessOrEqual: boolean,
  Greater: boolean,
  GreaterOrEqual: boolean,
  And: boolean,
  Or: boolean,
  Xor: boolean,
  Not: booleanSame,
  IsNaN: booleanSame,
  IsInf: booleanSame,
  Shape: inferShape,
  Size: inferSize,
  ArgMax: inferArg,
  ArgMin: inferArg,
  NonZero: inferNonZero,
  OneHot: inferOneHot,
  Range: inferRange,
  ConstantOfShape: inferFilled,
  RandomNormalLike: inferRandom,
  RandomUniformLike: inferRandom,
  Bernoulli: inferRandom,
  RandomNormal: inferDrawn,
  RandomUniform: inferDrawn,
  EyeLike: inferRandom,
  Multinomial: inferMultinomial,
  Hardmax: inferSame,
  BitShift: inferElementwise,
  BitwiseAnd: inferElementwise,
  BitwiseOr: inferElementwise,
  BitwiseXor: inferElementwise,
  BitwiseNot: inferSame,
  QuantizeLinear: ({ inputs: [x, , zero] }) => [{ dtype: zero?.dtype ?? 'uint8', shape: x?.shape }],
  NonMaxSuppression: (c) => [{ dtype: 'int64', shape: [c.fresh(), 3] }],
};

/** Operators at which gradients end: their derivative is zero wherever it exists. */
export const STOP: readonly Operator[] = Object.entries(RULES).map(([op, infer]) => ({
  op,
  infer,
  gradient: 'stop',
}));
