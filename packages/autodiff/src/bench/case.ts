import type { LossName } from '../loss/loss.ts';
import type { OptimizerOptions } from '../optimizer/optimizer.ts';
import type { PrivacyOptions } from '../training/private/method.ts';
import { lenet, lstm, perceptron, resnet18, transformer } from './models.ts';

/** One training to be timed; the peers build the same one by its name. */
export interface BenchCase {
  readonly name: string;
  readonly model: () => Uint8Array;
  /** Sizes of one row. */
  readonly row: readonly number[];
  /** Numbers from 0 to this are tokens; absent: real numbers. */
  readonly tokens?: number;
  readonly batchSize: number;
  readonly loss: LossName;
  /** Classes, or 1 for a single logit. */
  readonly outputs: number;
  readonly optimizer: OptimizerOptions;
  readonly learningRate: number;
  readonly privacy?: PrivacyOptions;
}

const adam = { optimizer: { kind: 'adam' }, learningRate: 1e-3 } as const;
const momentum = { optimizer: { kind: 'sgd', momentum: 0.9 }, learningRate: 0.01 } as const;
const classes = { loss: 'cross_entropy', outputs: 10 } as const;
const logit = { loss: 'bce_with_logits', outputs: 1 } as const;

const MLP = {
  name: 'mlp-30-64-32-1-b32',
  model: () => perceptron([30, 64, 32, 1]),
  row: [30],
  batchSize: 32,
  ...logit,
  ...adam,
} satisfies BenchCase;

const LENET = {
  name: 'lenet-28-b32',
  model: lenet,
  row: [1, 28, 28],
  batchSize: 32,
  ...classes,
  ...momentum,
} satisfies BenchCase;

const privacy = { clip: 1, lotSize: 32 };

/** What `npm run bench -- train` times, in this order. */
export const CASES: readonly BenchCase[] = [
  MLP,
  {
    name: 'mlp-784-256-10-b64',
    model: () => perceptron([784, 256, 10]),
    row: [784],
    batchSize: 64,
    ...classes,
    ...adam,
  },
  LENET,
  {
    name: 'resnet18-32-b16',
    model: resnet18,
    row: [3, 32, 32],
    batchSize: 16,
    ...classes,
    ...momentum,
  },
  {
    name: 'lstm-50x16x64-128',
    model: lstm,
    row: [50, 64],
    batchSize: 16,
    ...logit,
    ...adam,
  },
  {
    name: 'transformer-4x128-t64-b16',
    model: transformer,
    row: [64],
    tokens: 1000,
    batchSize: 16,
    ...classes,
    ...adam,
  },
  { ...MLP, name: 'dp-mlp-30-64-32-1-b32', privacy },
  { ...LENET, name: 'dp-lenet-28-b32', privacy },
];
