import { MedleyError } from '@medley/kit';
import type { Builder } from '../graph/builder.ts';
import { dims, floatOf, intOf, type Value } from '../graph/graph.ts';
import type { InferContext, Inferred } from '../graph/infer.ts';
import type { GradientRule, Operator } from '../graph/operator.ts';
import { broadcast, shapeText } from '../graph/shape.ts';
import { sumTo } from './broadcast.ts';

function inferGemm(c: InferContext): readonly Inferred[] {
  const [a, b] = c.inputs;
  if (a?.shape?.length !== 2 || b?.shape?.length !== 2)
    return [{ dtype: a?.dtype, shape: undefined }];
  const [ta, tb] = [intOf(c, 'transA', 0), intOf(c, 'transB', 0)];
  const inner = [a.shape[1 - ta]!, b.shape[tb]!];
  if (inner.every((dim) => typeof dim === 'number') && inner[0] !== inner[1]) {
    throw new MedleyError(
      'MODEL_INVALID',
      `Gemm cannot multiply ${shapeText(a.shape)} with ${shapeText(b.shape)}`,
    );
  }
  return [{ dtype: a.dtype, shape: [a.shape[ta]!, b.shape[1 - tb]!] }];
}

const gemm: GradientRule = ({ b, attributes, inputs: [x, w, bias], needs }, [g]) => {
  const node = { attributes };
  const alpha = { float: floatOf(node, 'alpha', 1) };
  const beta = floatOf(node, 'beta', 1);
  const [ta, tb] = [intOf(node, 'transA', 0), intOf(node, 'transB', 0)];
  const product = (left: Value, right: Value, transA: number, transB: number): Value =>
    b.op('Gemm', [left, right], { alpha, transA, transB });
  const scaled = (): Value => (beta === 1 ? g! : b.op('Mul', [g, b.scalar(beta, g)]));
  return [
    needs[0] ? (ta === 0 ? product(g!, w!, 0, 1 - tb) : product(w!, g!, tb, 1)) : undefined,
    needs[1] ? (tb === 0 ? product(x!, g!, 1 - ta, 0) : product(g!, x!, 1, ta)) : undefined,
    needs[2] && bias !== undefined ? sumTo(b, scaled(), bias) : undefined,
  ];
};

function inferMatMul(c: InferContext): readonly Inferred[] {
  const [a, b] = c.inputs;
  if (a?.shape === undefined || b?.shape === undefined)
    return [{ dtype: a?.dtype, shape: undefined }];
  const [left, right] = [a.shape, b.shape];
  const inner = [left[left.length - 1], right.length === 1 ? right[0] : right[right.length - 2]];
  const isClash = inner.every((dim) => typeof dim === 'number') && inner[0] !== inner[1];
  const batch = broadcast([left.slice(0, -2), right.slice(0, -2)], c.fresh);
  if (left.length === 0 || right.length === 0 || isClash || batch === undefined) {
    throw new MedleyError(
      'MODEL_INVALID',
      `MatMul cannot multiply ${shapeText(left)} with ${shapeText(right)}`,
    );
  }
  const rows = left.length === 1 ? [] : [left[left.length - 2]!];
  const columns = right.length === 1 ? [] : [right[right.length - 1]!];
  return [{ dtype: a.dtype, shape: [...batch, ...rows, ...columns] }];
}

// Vectors become matrices of one row or column, as the operator itself defines.
const matMul: GradientRule = ({ b, inputs: [x, w], needs }, [g]) => {
  const [xRank, wRank] = [dims(x!).length, dims(w!).length];
  const left = xRank === 1 ? b.op('Unsqueeze', [x, b.ints([0])]) : x!;
  const right = wRank === 1 ? b.op('Unsqueeze', [w, b.ints([1])]) : w!;
  let out = wRank === 1 ? b.op('Unsqueeze', [g, b.ints([-1])]) : g!;
  if (xRank === 1) out = b.op('Unsqueeze', [out, b.ints([-2])]);
  const dx = needs[0] ? sumTo(b, b.op('MatMul', [out, transposed(b, right)]), left) : undefined;
  const dw = needs[1] ? rightGradient(b, left, right, out) : undefined;
  return [
    dx === undefined ? undefined : b.reshapeLike(dx, x!),
    dw === undefined ? undefined : b.reshapeLike(dw, w!),
  ];
};

/** Aᵀ·dY; for a matrix shared by a whole batch, one product over all rows of the batch. */
function rightGradient(b: Builder, left: Value, right: Value, out: Value): Value {
  if (dims(right).length === 2 && dims(left).length > 2) {
    const rows = b.op('Reshape', [left, lastSize(b, left)]);
    const slopes = b.op('Reshape', [out, lastSize(b, out)]);
    return b.adopt({ ...b.op('Gemm', [rows, slopes], { transA: 1 }), shape: dims(right) });
  }
  return sumTo(b, b.op('MatMul', [transposed(b, left), out]), right);
}

/** The shape [−1, last size] for Reshape. */
function lastSize(b: Builder, value: Value): Value {
  const last = dims(value).at(-1)!;
  if (typeof last === 'number') return b.ints([-1, last]);
  return b.op('Concat', [b.ints([-1]), b.op('Shape', [value], { start: -1 })], { axis: 0 });
}

/** The last two axes exchanged. */
export function transposed(b: Builder, value: Value): Value {
  const rank = dims(value).length;
  const perm = Array.from({ length: rank }, (_, i) => i);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return b.op('Transpose', [value], { perm });
}

/** Gemm and MatMul. */
export const MATRIX: readonly Operator[] = [
  { op: 'Gemm', infer: inferGemm, gradient: gemm },
  { op: 'MatMul', infer: inferMatMul, gradient: matMul },
];
