import { describe, expect, test } from '@jest/globals';
import { initialParameters } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { buildTraining } from '../training/build.ts';
import { initialSlots, Trainer, type TrainingState } from '../training/trainer.ts';
import type { AdamOptions, OptimizerOptions, SgdOptions } from './optimizer.ts';

const RATE = 0.03;
const model = buildMlp({ features: 3, hidden: [4], outputs: 1, activation: 'tanh', seed: 'o' });
const inputs = Float32Array.from({ length: 18 }, (_, i) => Math.sin(3 * i + 1));
const labels = Float32Array.from({ length: 6 }, (_, i) => i % 2);

type Reference = (step: number, p: number, g: number, slot: number[]) => number;

/** torch.optim.SGD, from its documentation, one weight at a time in double. */
const sgd =
  ({ momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 }: SgdOptions): Reference =>
  (step, p, g, slot) => {
    let d = g + weightDecay * p;
    if (momentum !== 0) {
      slot[0] = step === 0 ? d : momentum * slot[0]! + (1 - dampening) * d;
      d = nesterov ? d + momentum * slot[0] : slot[0];
    }
    return p - RATE * d;
  };

/** torch.optim.Adam and AdamW, likewise. */
const adam =
  ({ kind, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay }: AdamOptions): Reference =>
  (step, p, g, slot) => {
    const decay = weightDecay ?? (kind === 'adamw' ? 0.01 : 0);
    const start = kind === 'adamw' ? p * (1 - RATE * decay) : p;
    const d = kind === 'adamw' ? g : g + decay * p;
    slot[0] = beta1 * slot[0]! + (1 - beta1) * d;
    slot[1] = beta2 * slot[1]! + (1 - beta2) * d * d;
    const first = slot[0] / (1 - beta1 ** (step + 1));
    const second = slot[1] / (1 - beta2 ** (step + 1));
    return start - (RATE * first) / (Math.sqrt(second) + epsilon);
  };

const CASES: readonly OptimizerOptions[] = [
  { kind: 'sgd' },
  { kind: 'sgd', weightDecay: 0.1 },
  { kind: 'sgd', momentum: 0.9 },
  { kind: 'sgd', momentum: 0.9, dampening: 0.4 },
  { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.05 },
  { kind: 'adam' },
  { kind: 'adam', beta1: 0.7, beta2: 0.9, epsilon: 1e-4, weightDecay: 0.1 },
  { kind: 'adamw' },
  { kind: 'adamw', weightDecay: 0.2 },
];

test.each(CASES)('ten steps of %j follow the definition', async (optimizer) => {
  const artifacts = buildTraining(model, { loss: 'bce_with_logits', optimizer });
  const trainer = await Trainer.open(artifacts);
  const reference = optimizer.kind === 'sgd' ? sgd(optimizer) : adam(optimizer);
  let state: TrainingState = {
    parameters: initialParameters(model),
    slots: initialSlots(artifacts.manifest),
    stepCount: 0,
  };
  const expected = Array.from(state.parameters);
  const slots = expected.map(() => [0, 0]);
  for (let step = 0; step < 10; step++) {
    const { gradient } = await trainer.gradient({ ...state, inputs, labels });
    gradient.forEach((g, i) => (expected[i] = reference(step, expected[i]!, g, slots[i]!)));
    state = await trainer.step({ ...state, inputs, labels, learningRate: RATE });
  }
  await trainer.close();
  state.parameters.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(3e-6));
});

test('a setting can be changed from step to step', async () => {
  const artifacts = buildTraining(model, {
    loss: 'mse',
    optimizer: { kind: 'sgd', weightDecay: 0.1 },
  });
  const trainer = await Trainer.open(artifacts);
  const call = {
    parameters: initialParameters(model),
    slots: new Float32Array(),
    stepCount: 0,
    inputs,
    labels,
    learningRate: 1,
  };
  const { gradient } = await trainer.gradient(call);
  const { parameters } = await trainer.step({ ...call, hyperparameters: { weight_decay: 0 } });
  await trainer.close();
  parameters.forEach((value, i) =>
    expect(value).toBeCloseTo(call.parameters[i]! - gradient[i]!, 6),
  );
});

describe('an optimizer is refused', () => {
  test.each<[string, OptimizerOptions]>([
    ['with a negative momentum', { kind: 'sgd', momentum: -1 }],
    ['with Nesterov and no momentum', { kind: 'sgd', nesterov: true }],
    ['with beta1 of 1', { kind: 'adam', beta1: 1 }],
    ['with a decay that is no number', { kind: 'adam', weightDecay: NaN }],
    ['of an unknown kind', { kind: 'lion' } as unknown as OptimizerOptions],
  ])('%s', (_, optimizer) => {
    expect(() => buildTraining(model, { loss: 'mse', optimizer })).toThrow(
      expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
    );
  });
});
