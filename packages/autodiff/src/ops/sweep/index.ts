import type { Case } from './case.ts';
import { CONVOLUTIONS } from './convolution.ts';
import { CONTROL } from './control.ts';
import { EINSUM } from './einsum.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { GATHER } from './gather.ts';
import { LOSS_NODES } from './lossNode.ts';
import { MATRIX } from './matrix.ts';
import { NORMALISATION } from './normalisation.ts';
import { ORDER } from './order.ts';
import { POOLS } from './pooling.ts';
import { RECURRENT } from './recurrent.ts';
import { REDUCE } from './reduce.ts';
import { RESAMPLING } from './resize.ts';
import { SHAPE } from './shape.ts';

/** Every case of every family: nodes whose gradients are compared with finite differences. */
export const SWEEP: readonly Case[] = [
  ...CONTROL,
  ...CONVOLUTIONS,
  ...EINSUM,
  ...ELEMENTWISE,
  ...GATHER,
  ...LOSS_NODES,
  ...MATRIX,
  ...NORMALISATION,
  ...ORDER,
  ...POOLS,
  ...RECURRENT,
  ...REDUCE,
  ...RESAMPLING,
  ...SHAPE,
];
