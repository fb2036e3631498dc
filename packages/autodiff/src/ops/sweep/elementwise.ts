import { floatTensor } from '../../graph/tensor.ts';
import { bools, float, ints, POSITIVE, type Case } from './case.ts';

const unary = (op: string, rest: Partial<Case> = {}): Case => ({ op, operands: [[2, 3]], ...rest });

// The eight pairs of shapes with which ONNX Runtime tests its own gradients, with smaller sizes.
const BROADCASTS = [
  [
    [2, 3, 2, 4],
    [2, 3, 2, 4],
  ],
  [[2, 3, 2, 4], []],
  [[2, 3, 2, 4], [4]],
  [
    [2, 3, 2, 4],
    [2, 4],
  ],
  [
    [2, 3, 2, 4],
    [1, 2, 4],
  ],
  [
    [2, 3, 1, 1],
    [1, 2, 4],
  ],
  [
    [3, 2, 4],
    [2, 1, 1, 1],
  ],
  [
    [2, 1, 1, 4],
    [1, 3, 2, 1],
  ],
];

// So wide that no two elements come near each other.
const APART = { from: -20, to: 20 };

const binary = (op: string, rest: Partial<Case> = {}): readonly Case[] =>
  BROADCASTS.map((operands) => ({ op, operands, ...rest }));

/** Elementwise operators, one operand or several. */
export const ELEMENTWISE: readonly Case[] = [
  ...['Neg', 'Exp', 'Erf', 'Sin', 'Cos', 'Atan', 'Sinh', 'Cosh', 'Tanh', 'Asinh', 'Sigmoid'].map(
    (op) => unary(op),
  ),
  ...['Softplus', 'Mish', 'Identity', 'Softmax', 'LogSoftmax'].map((op) => unary(op)),
  ...['Log', 'Sqrt', 'Reciprocal'].map((op) => unary(op, POSITIVE)),
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
  ...binary('Div', POSITIVE),
  ...binary('Pow', POSITIVE),
  { op: 'Pow', operands: [[2, 3], float(2)] },
  { op: 'Pow', operands: [[2, 3], float(3)] },
  { op: 'Pow', operands: [[2, 3], float(0.5)], ...POSITIVE },
  { op: 'Pow', operands: [[2, 3], ints(2)] },
  ...['Sum', 'Mean', 'Min', 'Max'].flatMap((op) => [
    ...binary(op, APART),
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
  unary('Shrink', {
    attributes: { lambd: { float: 0.6 }, bias: { float: 0.2 } },
    kinks: [-0.6, 0.6],
  }),
  // Quotients that no step brings to a whole number.
  {
    op: 'Mod',
    operands: [floatTensor([3, 1], [5.1, 7.3, -9.5]), [1, 2]],
    attributes: { fmod: 1 },
    from: 2,
    to: 2.2,
  },
  { op: 'Mod', operands: [[2, 3], float(0.7)], attributes: { fmod: 1 }, from: 0.8, to: 1.3 },
  { op: 'Compress', operands: [[2, 3], bools([4], 1, 0, 0, 1)] },
  { op: 'Compress', operands: [[2, 3], bools([3], 1, 0, 1)], attributes: { axis: 1 } },
  { op: 'Compress', operands: [[3, 2], bools([3], 0, 1, 1)], attributes: { axis: -2 } },
];
