import { expect, test } from '@jest/globals';
import { lossOf as ourLoss } from '../loss/registry.ts';
import { optimizerOf as ourOptimizer } from '../optimizer/registry.ts';
import { classAxes, gradientOptionsOf, lossOf, optimizerOf } from './options.ts';

test.each([
  ['SGD', { lr: 1, momentum: 0.9, nesterov: true }, { kind: 'sgd', momentum: 0.9, nesterov: true }],
  ['sgd', { lr: 1, nesterov: false, dampening: 0 }, { kind: 'sgd', dampening: 0 }],
  [
    'adam',
    { betas: [0.8, 0.9], eps: 1e-6, amsgrad: true },
    { kind: 'adam', beta1: 0.8, beta2: 0.9, epsilon: 1e-6, amsgrad: true },
  ],
  ['AdamW', { weight_decay: 0.1 }, { kind: 'adamw', weightDecay: 0.1 }],
  [
    'RMSprop',
    { alpha: 0.9, centered: true, momentum: 0.5 },
    { kind: 'rmsprop', alpha: 0.9, centered: true, momentum: 0.5 },
  ],
  [
    'adagrad',
    { lr_decay: 0.1, initial_accumulator_value: 0.2 },
    { kind: 'adagrad', rateDecay: 0.1, initialAccumulator: 0.2 },
  ],
])('%s with %j is %j here', (optimizer, hyperparameters, ours) => {
  const found = optimizerOf({ optimizer, hyperparameters });
  expect(found).toEqual(ours);
  expect(() => ourOptimizer(found!)).not.toThrow();
});

test.each(['nadam', 'adadelta', 'constructor'])('%s is not known', (optimizer) => {
  expect(optimizerOf({ optimizer, hyperparameters: {} })).toBeUndefined();
});

test.each([
  'cross_entropy',
  'bce_with_logits',
  'dice_bce',
  'cox_ph',
  'mse_loss',
  'L1',
  'huber_loss',
  'smooth_l1',
  'nll_loss',
  'poisson_nll',
  'focal',
  'sigmoid_focal_loss',
  'kl_div',
])('the loss %s is one of ours', (loss) => {
  expect(() => ourLoss(lossOf({ loss })!)).not.toThrow();
});

test('a loss nobody knows is not known', () => {
  expect(lossOf({ loss: 'ctc' })).toBeUndefined();
});

test('classes stand on the last axis of sequences and on axis 1 of images', () => {
  const [last, first] = ([-1, 1] as const).map((classAxis) => ({ kind: 'nll', classAxis }));
  expect(classAxes('nll', 2)).toEqual([last, first]);
  expect(classAxes('nll', 3)).toEqual([first, last]);
  expect(classAxes('mse', 3)).toEqual(['mse']);
});

test('a recorded bound on the norm is kept', () => {
  expect(gradientOptionsOf({ hyperparameters: { max_norm: 2 } })).toEqual({
    clip: { kind: 'norm', limit: 2 },
  });
  expect(gradientOptionsOf({ hyperparameters: { lr: 2 } })).toEqual({});
});
