import { floatTensor, intTensor, type Tensor } from '../../graph/tensor.ts';
import { bools, float, type Case } from './case.ts';

const labels = (dims: readonly number[], ...values: readonly number[]): Tensor =>
  intTensor(dims, values);
const WEIGHTS = floatTensor([3], [0.5, 2, 1.25]);
const each = labels([4], 2, 0, 1, 2);
const pixels = labels([2, 2, 2], 0, 2, 1, 1, 2, 0, 0, 1);
const ignoring = labels([4], 2, -100, 1, -100);

const loss = (op: string): readonly Case[] => [
  ...['none', 'sum', 'mean'].flatMap((reduction): readonly Case[] => [
    { op, operands: [[4, 3], each], attributes: { reduction } },
    { op, operands: [[4, 3], each, WEIGHTS], attributes: { reduction } },
    { op, operands: [[4, 3], ignoring], attributes: { reduction, ignore_index: -100 } },
    { op, operands: [[2, 3, 2, 2], pixels, WEIGHTS], attributes: { reduction, ignore_index: 1 } },
  ]),
  { op, operands: [[2, 3, 2, 2], pixels] },
];

/** Loss operators of ONNX, and Dropout where it drops nothing. */
export const LOSS_NODES: readonly Case[] = [
  ...loss('NegativeLogLikelihoodLoss'),
  ...loss('SoftmaxCrossEntropyLoss'),
  ...[[0, 1], [1]].flatMap((targets): readonly Case[] => [
    { op: 'SoftmaxCrossEntropyLoss', operands: [[4, 3], each, WEIGHTS], outputs: 2, targets },
    { op: 'SoftmaxCrossEntropyLoss', operands: [[2, 3, 2, 2], pixels], outputs: 2, targets },
  ]),
  { op: 'Dropout', operands: [[2, 3], float(0), bools([], 1)] },
];
