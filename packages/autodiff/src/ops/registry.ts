import type { Infer } from '../graph/infer.ts';
import type { Operator } from '../graph/operator.ts';
import { ACTIVATION } from './activation.ts';
import { BATCH_NORM } from './batchNorm.ts';
import { BINARY } from './binary.ts';
import { CAST } from './cast.ts';
import { COMPRESS } from './compress.ts';
import { CONTROL } from './control/control.ts';
import { CONVOLUTION } from './convolution.ts';
import { CONVOLUTION_TRANSPOSE } from './convolutionTranspose.ts';
import { DEPTH } from './depth.ts';
import { EINSUM } from './einsum.ts';
import { GATHER } from './gather.ts';
import { INSTANCE_NORM } from './instanceNorm.ts';
import { JOIN } from './join.ts';
import { LAYER_NORM } from './layerNorm.ts';
import { LOCAL_NORM } from './localNorm.ts';
import { LOSS_NODE } from './lossNode.ts';
import { MATRIX } from './matrix.ts';
import { NARY } from './nary.ts';
import { ORDER } from './order.ts';
import { POOLING } from './pooling.ts';
import { POOLING_MAX } from './poolingMax.ts';
import { RECURRENT } from './recurrent/recurrent.ts';
import { REDUCE } from './reduce.ts';
import { REFUSALS } from './refused.ts';
import { REMAINDER } from './remainder.ts';
import { RESHAPE } from './reshape.ts';
import { RESIZE } from './resize.ts';
import { SCATTER } from './scatter.ts';
import { SELECT } from './select.ts';
import { SLICE } from './slice.ts';
import { SOFTMAX } from './softmax.ts';
import { STOP } from './stop.ts';
import { UNARY } from './unary.ts';

const FAMILIES = [
  ACTIVATION,
  BATCH_NORM,
  BINARY,
  CAST,
  COMPRESS,
  CONTROL,
  CONVOLUTION,
  CONVOLUTION_TRANSPOSE,
  DEPTH,
  EINSUM,
  GATHER,
  INSTANCE_NORM,
  JOIN,
  LAYER_NORM,
  LOCAL_NORM,
  LOSS_NODE,
  MATRIX,
  NARY,
  ORDER,
  POOLING,
  POOLING_MAX,
  RECURRENT,
  REDUCE,
  REFUSALS,
  REMAINDER,
  RESHAPE,
  RESIZE,
  SCATTER,
  SELECT,
  SLICE,
  SOFTMAX,
  STOP,
  UNARY,
];

/** Every operator of the standard domain that the engine knows, by name. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  FAMILIES.flat().map((operator) => [operator.op, operator]),
);

/** The operator of a node, or undefined for an unknown one or another domain. */
export function operatorOf(node: {
  readonly op: string;
  readonly domain: string;
}): Operator | undefined {
  return node.domain === '' ? OPERATORS.get(node.op) : undefined;
}

/** Type and shape inference over all known operators. */
export const infer: Infer = (domain, c) => operatorOf({ op: c.op, domain })?.infer(c) ?? [];
