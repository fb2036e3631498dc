import { doubleTensor, numbersOf, type Tensor } from '../../graph/tensor.ts';
import type { Case } from './case.ts';

/**
 * Operators whose cases are also checked in float64, where differences are exact to 1e-6: the
 * runtime has kernels for them and for what their gradients are made of. The others are checked in
 * float32 to 1e-3 of the largest element.
 */
export const WIDE: ReadonlySet<string> = new Set([
  ...['Neg', 'Exp', 'Sin', 'Cos', 'Tanh', 'Sigmoid', 'Softplus', 'Mish', 'Identity', 'Softmax'],
  ...['LogSoftmax', 'Log', 'Sqrt', 'Reciprocal', 'Abs', 'Softsign', 'Relu', 'LeakyRelu', 'Elu'],
  ...['Selu', 'ThresholdedRelu', 'HardSigmoid', 'HardSwish', 'CastLike', 'Dropout', 'PRelu'],
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sum', 'Min', 'Max', 'Where', 'Clip', 'Mod', 'Compress'],
  ...['Gather', 'GatherElements', 'GatherND', 'ScatterElements', 'ScatterND', 'Gemm', 'MatMul'],
  ...['Einsum', 'CumSum', 'TopK', 'ReverseSequence', 'ReduceSum', 'ReduceMean', 'ReduceMax'],
  ...['ReduceMin', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare', 'ReduceLogSum', 'ReduceLogSumExp'],
  ...['ReduceProd', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Expand', 'Tile'],
  ...['Slice', 'Pad', 'Concat', 'Split', 'Trilu', 'SpaceToDepth', 'DepthToSpace'],
  ...['NegativeLogLikelihoodLoss', 'SoftmaxCrossEntropyLoss', 'GroupNormalization'],
  ...['LpNormalization', 'BatchNormalization'],
]);

/** A case in float64, its constants too. */
export function widened(sweep: Case): Case {
  const operands = sweep.operands.map((operand) =>
    operand === undefined || Array.isArray(operand) ? operand : wide(operand as Tensor),
  );
  return { ...sweep, operands, dtype: 'float64' };
}

const wide = (tensor: Tensor): Tensor =>
  tensor.dtype === 'float32' ? doubleTensor(tensor.dims, numbersOf(tensor)!) : tensor;
