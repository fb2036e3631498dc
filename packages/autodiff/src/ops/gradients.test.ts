import { describe, expect, test } from '@jest/globals';
import { permutation, seededRng } from '@medley/kit';
import { gradient } from '../gradient.ts';
import { Builder } from '../graph/builder.ts';
import type { AttributeInput } from '../graph/graph.ts';
import type { Dim } from '../graph/shape.ts';
import { floatTensor, intTensor, type Tensor } from '../graph/tensor.ts';
import { writeModel } from '../file/writer.ts';
import { Session, type RuntimeTensor } from '../session.ts';
import { infer, OPERATORS } from './registry.ts';

/** One node to check: float operands by shape (differentiated), constants as they are. */
interface Case {
  readonly op: string;
  readonly operands: readonly (readonly number[] | Tensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  /** Where the operands' values lie; kinks are kept at a distance. */
  readonly from?: number;
  readonly to?: number;
  readonly kinks?: readonly number[];
  /** The rank of the result depends on sizes, so symbols cannot be used. */
  readonly staticOnly?: boolean;
}

const ints = (...values: readonly number[]): Tensor => intTensor([values.length], values);
const float = (value: number): Tensor => floatTensor([], [value]);
const bools = (dims: readonly number[], ...values: readonly number[]): Tensor => ({
  dtype: 'bool',
  dims,
  bytes: Uint8Array.from(values),
});

const unary = (op: string, rest: Partial<Case> = {}): Case => ({ op, operands: [[2, 3]], ...rest });

const BROADCASTS = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], []],
  [[2, 3], [3]],
  [[3], [2, 3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [2, 3],
    [1, 1],
  ],
  [
    [1, 3],
    [2, 1],
  ],
];

const binary = (op: string, rest: Partial<Case> = {}): readonly Case[] =>
  BROADCASTS.map((operands) => ({ op, operands, ...rest }));

const reduce = (op: string, rest: Partial<Case> = {}): readonly Case[] => [
  { op, operands: [[2, 3, 2], ints(1)], attributes: { keepdims: 0 }, ...rest },
  { op, operands: [[2, 3, 2], ints(-1, 0)], attributes: { keepdims: 1 }, ...rest },
  { op, operands: [[2, 3], undefined], attributes: { keepdims: 0 }, ...rest },
  { op, operands: [[2, 3], undefined], attributes: { noop_with_empty_axes: 1 }, ...rest },
];

const positive = { from: 0.4, to: 2.5 };

const CASES: readonly Case[] = [
  ...['Neg', 'Exp', 'Erf', 'Sin', 'Cos', 'Atan', 'Sinh', 'Cosh', 'Tanh', 'Asinh', 'Sigmoid'].map(
    (op) => unary(op),
  ),
  ...['Softplus', 'Mish', 'Identity', 'Softmax', 'LogSoftmax'].map((op) => unary(op)),
  ...['Log', 'Sqrt', 'Reciprocal'].map((op) => unary(op, positive)),
  ...['Abs', 'Softsign', 'Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu'].map((op) =>
    unary(op, { kinks: [0] }),
  ),
  unary('Tan', { from: -1, to: 1 }),
  ...['Asin', 'Acos', 'Atanh'].map((op) => unary(op, { from: -0.8, to: 0.8 })),
  unary('Acosh', { from: 1.3, to: 4 }),
  unary('LeakyRelu', { attributes: { alpha: { float: 0.3 } }, kinks: [0] }),
  unary('Elu', { attributes: { alpha: { float: 1.7 } }, kinks: [0] }),
  unary('Selu', { attributes: { alpha: { float: 1.2 }, gamma: { float: 0.9 } }, kinks: [0] }),
  unary('Celu', { attributes: { alpha: { float: 0.6 } }, kinks: [0] }),
  unary('ThresholdedRelu', { attributes: { alpha: { float: 0.5 } }, kinks: [0.5] }),
  unary('HardSigmoid', { from: -4, to: 4, kinks: [-2.5, 2.5] }),
  unary('HardSigmoid', {
    attributes: { alpha: { float: 0.5 }, beta: { float: 0.4 } },
    kinks: [-0.8, 1.2],
  }),
  unary('HardSwish', { from: -4, to: 4, kinks: [-3, 3] }),
  unary('Softmax', { attributes: { axis: 0 } }),
  unary('LogSoftmax', { attributes: { axis: 0 } }),
  { op: 'Softmax', operands: [[2, 3, 2]], attributes: { axis: 1 } },
  unary('Cast', { attributes: { to: 1 } }),
  { op: 'CastLike', operands: [[2, 3], float(0)] },
  { op: 'Dropout', operands: [[2, 3]] },
  { op: 'PRelu', operands: [[2, 3], [3]], kinks: [0] },
  {
    op: 'PRelu',
    operands: [
      [2, 3, 2],
      [3, 1],
    ],
    kinks: [0],
  },
  { op: 'PRelu', operands: [[2, 3], [1]], kinks: [0] },
  ...['Add', 'Sub', 'Mul'].flatMap((op) => binary(op)),
  ...binary('Div', positive),
  ...binary('Pow', positive),
  { op: 'Pow', operands: [[2, 3], float(2)] },
  { op: 'Pow', operands: [[2, 3], float(3)] },
  { op: 'Pow', operands: [[2, 3], float(0.5)], ...positive },
  { op: 'Pow', operands: [[2, 3], ints(2)] },
  ...['Sum', 'Mean', 'Min', 'Max'].flatMap((op) => [
    ...binary(op),
    { op, operands: [[2, 3], [3], [2, 1]] },
    { op, operands: [[2, 3]] },
  ]),
  ...[
    [
      [2, 3],
      [2, 3],
    ],
    [[3], [2, 1]],
    [[], [2, 3]],
  ].map((operands) => ({ op: 'Where', operands: [bools([2, 3], 1, 0, 0, 1, 1, 0), ...operands] })),
  { op: 'Where', operands: [bools([3], 1, 0, 1), [2, 1], [1, 3]] },
  { op: 'Clip', operands: [[2, 3], float(-0.7), float(0.9)], kinks: [-0.7, 0.9] },
  { op: 'Clip', operands: [[2, 3], undefined, float(0.9)], kinks: [0.9] },
  { op: 'Clip', operands: [[2, 3], float(-0.7)], kinks: [-0.7] },
  { op: 'Clip', operands: [[2, 3]] },
  ...[0, 1].flatMap((transA) =>
    [0, 1].flatMap((transB) =>
      [[2, 4], [4], [1], [2, 1], undefined].map((bias) => ({
        op: 'Gemm',
        operands: [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], ...(bias ? [bias] : [])],
        attributes: { transA, transB, alpha: { float: 0.7 }, beta: { float: 1.3 } },
      })),
    ),
  ),
  ...[
    [
      [2, 3],
      [3, 4],
    ],
    [[3], [3, 2]],
    [[2, 3], [3]],
    [[3], [3]],
    [
      [2, 2, 3],
      [3, 2],
    ],
    [
      [2, 2, 3],
      [2, 3, 2],
    ],
    [
      [2, 1, 2, 3],
      [3, 3, 2],
    ],
    [[3], [2, 3, 2]],
    [[2, 2, 3], [3]],
  ].map((operands) => ({ op: 'MatMul', operands })),
  { op: 'Reshape', operands: [[2, 3, 2], ints(0, -1)] },
  { op: 'Reshape', operands: [[2, 3], ints(3, 2)] },
  { op: 'Flatten', operands: [[2, 3, 2]] },
  { op: 'Flatten', operands: [[2, 3]], attributes: { axis: 0 } },
  { op: 'Squeeze', operands: [[2, 1, 3], ints(1)] },
  { op: 'Squeeze', operands: [[2, 1, 3]], staticOnly: true },
  { op: 'Unsqueeze', operands: [[2, 3], ints(0, -1)] },
  { op: 'Transpose', operands: [[2, 3, 2]] },
  { op: 'Transpose', operands: [[2, 3, 2]], attributes: { perm: [1, 2, 0] } },
  { op: 'Expand', operands: [[3, 1], ints(2, 1, 4)] },
  { op: 'Expand', operands: [[2, 3], ints(1, 1)] },
  {
    op: 'GatherElements',
    operands: [[2, 3], intTensor([2, 2], [0, 2, -1, 2])],
    attributes: { axis: 1 },
  },
  { op: 'GatherElements', operands: [[3, 2], intTensor([2, 2], [0, 2, 0, 2])] },
  ...['Sum', 'Mean', 'Max', 'Min', 'L2', 'SumSquare', 'LogSumExp'].flatMap((name) =>
    reduce(`Reduce${name}`),
  ),
  ...reduce('ReduceL1', { kinks: [0] }),
  ...reduce('ReduceLogSum', positive),
  ...reduce('ReduceProd', positive),
];

const STEP = 0.02;
const TOLERANCE = 1e-3;

/** Distinct values, at least four steps apart from each other and from every kink. */
function valuesOf(sweep: Case): Float32Array[] {
  const shapes = sweep.operands.filter((operand) =>
    Array.isArray(operand),
  ) as (readonly number[])[];
  const counts = shapes.map((shape) => shape.reduce((product, dim) => product * dim, 1));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const { from = -2, to = 2, kinks = [] } = sweep;
  const order = permutation(seededRng(`${sweep.op} ${JSON.stringify(shapes)}`), total);
  const grid = Array.from(order, (at) => from + ((to - from) * (at + 0.37)) / total);
  const clear = grid.map((value) => {
    const near = kinks.find((kink) => Math.abs(value - kink) < 4 * STEP);
    return near === undefined ? value : near + (value < near ? -4 : 4) * STEP;
  });
  let start = 0;
  return counts.map((count) => Float32Array.from(clear.slice(start, (start += count))));
}

/** The node as a model `x0, x1, … -> y, weighted`, with sizes named by `nameOf`. */
function modelOf(sweep: Case, nameOf: (operand: number, axis: number, size: number) => Dim) {
  const b = new Builder(infer);
  const feeds: { name: string; dims: readonly number[] }[] = [];
  const inputs = sweep.operands.map((operand) => {
    if (operand === undefined) return undefined;
    if (!Array.isArray(operand)) return b.constant(operand as Tensor);
    const dims = operand as readonly number[];
    const index = feeds.length;
    feeds.push({ name: `x${index}`, dims });
    return b.input(
      `x${index}`,
      'float32',
      dims.map((size, axis) => nameOf(index, axis, size)),
    );
  });
  return { b, feeds, y: b.op(sweep.op, inputs, sweep.attributes ?? {}, 'y') };
}

async function check(sweep: Case, nameOf: (operand: number, axis: number, size: number) => Dim) {
  const values = valuesOf(sweep);
  const { b, feeds, y } = modelOf(sweep, nameOf);
  const plain = await Session.open(
    writeModel(b.graph('node', [y]), { producer: 'test', version: '1' }),
  );
  const feed = (list: readonly Float32Array[]): Record<string, RuntimeTensor> =>
    Object.fromEntries(
      feeds.map(({ name, dims }, i) => [name, { dtype: 'float32', dims, data: list[i]! }]),
    );
  const base = (await plain.run(feed(values), ['y']))['y']!;
  // Unequal weights, so that errors cannot cancel in the sum.
  const weights = Float32Array.from(
    { length: base.data.length },
    (_, i) => 0.5 + ((i * 7) % 5) / 4,
  );
  const weighted = b.op('Mul', [y, b.constant(floatTensor(base.dims, weights))], {}, 'weighted');
  const bytes = writeModel(b.graph('node', [y, weighted]), { producer: 'test', version: '1' });
  const names = feeds.map(({ name }) => name);
  const ours = await Session.open(gradient(bytes, ['weighted'], names));
  const found = await ours.run(
    feed(values),
    names.map((name) => `${name}_grad`),
  );
  const objective = async (list: readonly Float32Array[]): Promise<number> => {
    const { data } = (await plain.run(feed(list), ['y']))['y']!;
    return (data as Float32Array).reduce((sum, value, i) => sum + value * weights[i]!, 0);
  };
  let worst = 0;
  for (const [i, { name, dims }] of feeds.entries()) {
    const result = found[`${name}_grad`]!;
    expect(result.dims).toEqual(dims);
    const numeric = await numericGradient(values, i, objective);
    const scale = numeric.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    numeric.forEach((value, k) => {
      worst = Math.max(worst, Math.abs(value - Number(result.data[k])) / scale);
    });
  }
  await Promise.all([plain.close(), ours.close()]);
  expect(worst).toBeLessThan(TOLERANCE);
}

/** Central differences of fourth order (Abramowitz and Stegun 25.3.6). */
async function numericGradient(
  values: readonly Float32Array[],
  operand: number,
  objective: (list: readonly Float32Array[]) => Promise<number>,
): Promise<number[]> {
  const slopes: number[] = [];
  for (let k = 0; k < values[operand]!.length; k++) {
    let slope = 0;
    for (const [shift, weight] of [
      [-2, 1],
      [-1, -8],
      [1, 8],
      [2, -1],
    ] as const) {
      const moved = Float32Array.from(values[operand]!);
      moved[k] = moved[k]! + shift * STEP;
      slope += weight * (await objective(values.map((list, i) => (i === operand ? moved : list))));
    }
    slopes.push(slope / (12 * STEP));
  }
  return slopes;
}

test('no differentiable operator is without a case', () => {
  const swept = new Set(CASES.map(({ op }) => op));
  const open = [...OPERATORS.values()].filter(({ gradient: rule }) => typeof rule === 'function');
  expect(open.map(({ op }) => op).filter((op) => !swept.has(op))).toEqual([]);
});

describe('gradients agree with finite differences', () => {
  const operators = [...new Set(CASES.map(({ op }) => op))];
  test.each(operators)('%s', async (op) => {
    for (const sweep of CASES.filter((entry) => entry.op === op)) {
      await check(sweep, (_, __, size) => size);
      if (sweep.staticOnly === true) continue;
      // The batch axis by name, as exporters write it; then every size of every operand by a name of its own.
      await check(sweep, (_, axis, size) => (axis === 0 && size === 2 ? 'batch' : size));
      await check(sweep, (operand, axis) => `size_${operand}_${axis}`);
    }
  });
});
