import { describe, expect, test } from '@jest/globals';
import { initialParameters } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import { buildTraining } from '../training/build.ts';
import type { TrainingOptions } from '../training/manifest.ts';
import { initialSlots, Trainer, type TrainingState } from '../training/trainer.ts';
import type { AdamOptions, ClipOptions, GradientOptions, OptimizerOptions } from './optimizer.ts';

const RATE = 0.03;
const model = buildMlp({ features: 3, hidden: [4], outputs: 1, activation: 'tanh', seed: 'o' });
const inputs = Float32Array.from({ length: 18 }, (_, i) => Math.sin(3 * i + 1));
const labels = Float32Array.from({ length: 6 }, (_, i) => i % 2);

/** Weights after update t (from 1), in double; `slot` keeps what it likes between updates. */
type Reference = (t: number, p: number[], g: number[], slot: number[][]) => number[];

/** An update of each weight on its own, with numbers of its own. */
const single =
  (update: (t: number, p: number, g: number, slot: number[]) => number): Reference =>
  (t, p, g, slot) =>
    p.map((value, i) => update(t, value, g[i]!, (slot[i] ??= [])));

type Of<Kind> = Extract<OptimizerOptions, { readonly kind: Kind }>;

/** torch.optim.*, yogi, LAMB and Lion from their definitions. */
const REFERENCES: { readonly [Kind in OptimizerOptions['kind']]: (o: Of<Kind>) => Reference } = {
  sgd: (options) => {
    const { momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 } = options;
    return single((t, p, g, slot) => {
      let d = g + weightDecay * p;
      if (momentum !== 0) {
        slot[0] = t === 1 ? d : momentum * slot[0]! + (1 - dampening) * d;
        d = nesterov ? d + momentum * slot[0] : slot[0];
      }
      return p - RATE * d;
    });
  },
  adam: (options) => adamReference(options),
  adagrad: (options) => {
    const { rateDecay = 0, initialAccumulator = 0, epsilon = 1e-10, weightDecay = 0 } = options;
    return single((t, p, g, slot) => {
      const d = g + weightDecay * p;
      slot[0] = (slot[0] ?? initialAccumulator) + d * d;
      return p - ((RATE / (1 + (t - 1) * rateDecay)) * d) / (Math.sqrt(slot[0]) + epsilon);
    });
  },
  rmsprop: (options) => {
    const { alpha = 0.99, epsilon = 1e-8, momentum = 0, centered, weightDecay = 0 } = options;
    return single((_, p, g, slot) => {
      const d = g + weightDecay * p;
      slot[0] = alpha * (slot[0] ?? 0) + (1 - alpha) * d * d;
      slot[1] = alpha * (slot[1] ?? 0) + (1 - alpha) * d;
      const spread = centered === true ? slot[0] - slot[1] ** 2 : slot[0];
      slot[2] = momentum * (slot[2] ?? 0) + d / (Math.sqrt(spread) + epsilon);
      return p - RATE * slot[2];
    });
  },
  yogi: (options) => {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-3, weightDecay = 0 } = options;
    return single((t, p, g, slot) => {
      const d = g + weightDecay * p;
      slot[0] = beta1 * (slot[0] ?? 0) + (1 - beta1) * d;
      const before = slot[1] ?? options.initialAccumulator ?? 1e-6;
      slot[1] = before - (1 - beta2) * Math.sign(before - d * d) * d * d;
      const second = Math.sqrt(slot[1] / (1 - beta2 ** t)) + epsilon;
      return p - (RATE * slot[0]) / (1 - beta1 ** t) / second;
    });
  },
  lamb: (options) => {
    const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, weightDecay = 0 } = options;
    return (t, p, g, slot) => {
      const step = p.map((value, i) => {
        const own = (slot[i] ??= [0, 0]);
        own[0] = beta1 * own[0]! + (1 - beta1) * g[i]!;
        own[1] = beta2 * own[1]! + (1 - beta2) * g[i]! ** 2;
        const second = Math.sqrt(own[1] / (1 - beta2 ** t)) + epsilon;
        return own[0] / (1 - beta1 ** t) / second + weightDecay * value;
      });
      return byTensor(p, (from, to) => {
        const [w, s] = [p, step].map((x) => Math.hypot(...x.slice(from, to)));
        const trust = w === 0 || s === 0 ? 1 : w! / s!;
        return p.slice(from, to).map((value, i) => value - RATE * trust * step[from + i]!);
      });
    };
  },
  lion: (options) => {
    const { beta1 = 0.9, beta2 = 0.99, weightDecay = 0 } = options;
    return single((_, p, g, slot) => {
      const before = slot[0] ?? 0;
      slot[0] = beta2 * before + (1 - beta2) * g;
      return p * (1 - RATE * weightDecay) - RATE * Math.sign(beta1 * before + (1 - beta1) * g);
    });
  },
  adamw: (options) => adamReference(options),
};

function reference(options: OptimizerOptions): Reference {
  // The table gives each kind the definition for its own settings.
  return (REFERENCES[options.kind] as (o: OptimizerOptions) => Reference)(options);
}

function adamReference(options: AdamOptions): Reference {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, amsgrad = false } = options;
  const decay = options.weightDecay ?? (options.kind === 'adamw' ? 0.01 : 0);
  return single((t, p, g, slot) => {
    const start = options.kind === 'adamw' ? p * (1 - RATE * decay) : p;
    const d = options.kind === 'adamw' ? g : g + decay * p;
    slot[0] = beta1 * (slot[0] ?? 0) + (1 - beta1) * d;
    slot[1] = beta2 * (slot[1] ?? 0) + (1 - beta2) * d * d;
    slot[2] = amsgrad ? Math.max(slot[2] ?? 0, slot[1]) : slot[1];
    const second = slot[2] / (1 - beta2 ** t);
    return start - (RATE * slot[0]) / (1 - beta1 ** t) / (Math.sqrt(second) + epsilon);
  });
}

/** The tensors of the model above, one after another. */
function byTensor(p: readonly number[], part: (from: number, to: number) => number[]): number[] {
  const ends = [12, 16, 20, 21];
  expect(p).toHaveLength(21);
  return ends.flatMap((end, i) => part(ends[i - 1] ?? 0, end));
}

/** Ten updates here and by `expected`, from the gradients found here; the largest difference. */
async function difference(
  options: Pick<TrainingOptions, 'optimizer' | 'clip' | 'proximal' | 'control'>,
  expected: Reference,
  vectors = {},
) {
  const artifacts = buildTraining(model, { loss: 'bce_with_logits', ...options });
  const trainer = await Trainer.open(artifacts);
  let state: TrainingState = {
    parameters: initialParameters(model),
    slots: initialSlots(artifacts.manifest),
    stepCount: 0,
  };
  let wanted = Array.from(state.parameters);
  const kept: number[][] = [];
  for (let t = 1; t <= 10; t++) {
    const { gradient } = await trainer.gradient({ ...state, inputs, labels });
    wanted = expected(t, wanted, Array.from(gradient), kept);
    state = await trainer.step({ ...state, ...vectors, inputs, labels, learningRate: RATE });
  }
  await trainer.close();
  return Math.max(...wanted.map((value, i) => Math.abs(value - state.parameters[i]!)));
}

test.each<OptimizerOptions>([
  { kind: 'sgd' },
  { kind: 'sgd', weightDecay: 0.1 },
  { kind: 'sgd', momentum: 0.9 },
  { kind: 'sgd', momentum: 0.9, dampening: 0.4 },
  { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.05 },
  { kind: 'adam' },
  { kind: 'adam', beta1: 0.7, beta2: 0.9, epsilon: 1e-4, weightDecay: 0.1 },
  { kind: 'adam', amsgrad: true, beta2: 0.6 },
  { kind: 'adamw' },
  { kind: 'adamw', weightDecay: 0.2, amsgrad: true },
  { kind: 'adagrad' },
  { kind: 'adagrad', rateDecay: 0.1, initialAccumulator: 0.01, weightDecay: 0.05 },
  { kind: 'rmsprop' },
  { kind: 'rmsprop', alpha: 0.8, momentum: 0.5, weightDecay: 0.1 },
  { kind: 'rmsprop', centered: true, momentum: 0.9, epsilon: 1e-2 },
  { kind: 'yogi' },
  { kind: 'yogi', initialAccumulator: 0.02, weightDecay: 0.1 },
  { kind: 'lamb' },
  { kind: 'lamb', weightDecay: 0.1, beta1: 0.8 },
  { kind: 'lion' },
  { kind: 'lion', weightDecay: 0.3, beta2: 0.9 },
])('ten updates of %j follow the definition', async (optimizer) => {
  expect(await difference({ optimizer }, reference(optimizer))).toBeLessThan(1e-5);
});

const clip = (options: ClipOptions, g: readonly number[]): number[] => {
  const limited = (part: readonly number[]) => {
    const factor = Math.min(1, options.limit / (Math.hypot(...part) + 1e-6));
    return part.map((value) => value * factor);
  };
  if (options.kind === 'value')
    return g.map((value) => Math.max(-options.limit, Math.min(options.limit, value)));
  return options.kind === 'norm' ? limited(g) : byTensor(g, (a, z) => limited(g.slice(a, z)));
};

describe('before the update', () => {
  const optimizer = { kind: 'sgd', momentum: 0.9 } as const;
  const plain = reference(optimizer);

  test.each<ClipOptions>([
    { kind: 'value', limit: 0.02 },
    { kind: 'norm', limit: 0.1 },
    { kind: 'norm', limit: 100 },
    { kind: 'tensorNorm', limit: 0.05 },
  ])('the gradient is clipped by %j', async (options) => {
    const clipped: Reference = (t, p, g, slot) => plain(t, p, clip(options, g), slot);
    expect(await difference({ optimizer, clip: options }, clipped)).toBeLessThan(1e-6);
  });

  test('proximal and control terms are added, then the sum is clipped', async () => {
    const globalParameters = Float32Array.from({ length: 21 }, (_, i) => Math.sin(i));
    const control = Float32Array.from({ length: 21 }, (_, i) => Math.cos(i) / 10);
    const options: GradientOptions = {
      proximal: { mu: 0.4 },
      control: true,
      clip: { kind: 'norm', limit: 0.3 },
    };
    const changed: Reference = (t, p, g, slot) => {
      const sum = g.map((value, i) => value + 0.4 * (p[i]! - globalParameters[i]!) + control[i]!);
      return plain(t, p, clip(options.clip!, sum), slot);
    };
    const found = await difference({ optimizer, ...options }, changed, {
      globalParameters,
      control,
    });
    expect(found).toBeLessThan(1e-6);
  });

  test('a vector that is missing, or that nothing was built for, is refused', async () => {
    const call = {
      parameters: initialParameters(model),
      slots: new Float32Array(),
      stepCount: 0,
      inputs,
      labels,
      learningRate: 1,
    };
    const open = (options: GradientOptions) =>
      Trainer.open(buildTraining(model, { loss: 'mse', optimizer: { kind: 'sgd' }, ...options }));
    const without = await open({});
    const code = 'TRAINING_OPTIONS_INVALID';
    const control = new Float32Array(21);
    await expect(without.step({ ...call, control })).rejects.toMatchObject({ code });
    const built = await open({ control: true });
    await expect(built.step(call)).rejects.toMatchObject({ code });
    await expect(built.step({ ...call, control: control.subarray(1) })).rejects.toMatchObject({
      code: 'MODEL_PARAMETERS_MISMATCH',
    });
    await Promise.all([without.close(), built.close()]);
  });
});

test('an epoch takes a learning rate for each update, and gives the bits of its steps', async () => {
  for (const kind of ['adamw', 'adagrad', 'lamb'] as const) {
    const optimizer = { kind, weightDecay: 0.1 };
    const artifacts = buildTraining(model, {
      loss: 'mse',
      optimizer,
      clip: { kind: 'norm', limit: 0.1 },
    });
    const trainer = await Trainer.open(artifacts);
    const rates = Float64Array.of(0.1, 0.01, 0.5);
    let state: TrainingState = {
      parameters: initialParameters(model),
      slots: initialSlots(artifacts.manifest),
      stepCount: 4,
    };
    const epoch = await trainer.epoch({
      ...state,
      inputs,
      labels,
      learningRate: rates,
      order: Int32Array.of(0, 1, 2, 3, 4, 5),
      batchSize: 2,
    });
    for (const [i, learningRate] of rates.entries()) {
      const rows = {
        inputs: inputs.slice(6 * i, 6 * i + 6),
        labels: labels.slice(2 * i, 2 * i + 2),
      };
      state = await trainer.step({ ...state, ...rows, learningRate });
    }
    await trainer.close();
    expect(epoch.parameters).toEqual(state.parameters);
    expect(epoch.slots).toEqual(state.slots);
  }
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

describe('a training is refused', () => {
  test.each<[string, OptimizerOptions, GradientOptions]>([
    ['with a negative momentum', { kind: 'sgd', momentum: -1 }, {}],
    ['with Nesterov and no momentum', { kind: 'sgd', nesterov: true }, {}],
    ['with beta1 of 1', { kind: 'adam', beta1: 1 }, {}],
    ['with a decay that is no number', { kind: 'adam', weightDecay: NaN }, {}],
    ['with a setting of another optimizer', { kind: 'lion', epsilon: 1 } as OptimizerOptions, {}],
    ['of an unknown kind', { kind: 'nadam' } as unknown as OptimizerOptions, {}],
    ['with a clip limit of 0', { kind: 'sgd' }, { clip: { kind: 'norm', limit: 0 } }],
    ['with a negative mu', { kind: 'sgd' }, { proximal: { mu: -1 } }],
  ])('%s', (_, optimizer, gradient) => {
    expect(() => buildTraining(model, { loss: 'mse', optimizer, ...gradient })).toThrow(
      expect.objectContaining({ code: 'TRAINING_OPTIONS_INVALID' }),
    );
  });
});
