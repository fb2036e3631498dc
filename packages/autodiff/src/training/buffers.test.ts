import { describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import { exportModel } from '../export.ts';
import { decodeModel } from '../file/codec.ts';
import { writeModel } from '../file/writer.ts';
import { Builder } from '../graph/builder.ts';
import { boolTensor, floatTensor } from '../graph/tensor.ts';
import { initialParameters, inspectModel } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { Session } from '../session.ts';
import { buildTraining } from './build.ts';
import type { TrainingOptions } from './manifest.ts';
import { initialSlots, Trainer, type TrainingState } from './trainer.ts';

const ROWS = 11;
const rng = seededRng('rows');
const inputs = Float32Array.from({ length: ROWS * 3 }, () => uniformReal(rng) * 2 - 1);
const labels = Float32Array.from({ length: ROWS }, (_, i) => (i * i) % 2);
const order = Int32Array.from({ length: ROWS }, (_, i) => (i * 4) % ROWS);
const OPTIONS = {
  loss: 'bce_with_logits',
  optimizer: { kind: 'sgd', momentum: 0.9 },
} as const satisfies TrainingOptions;
const MOMENTUM = 0.8;

/** Gemm, BatchNormalization, Dropout, Gemm on rows of three, as an exporter writes it in either mode. */
function network(mode: 'training' | 'inference', uses = 1, dropped = 0): Uint8Array {
  const b = new Builder(infer);
  const values = seededRng('weights');
  const weight = (name: string, ...dims: readonly number[]) =>
    b.constant(
      floatTensor(
        dims,
        Array.from({ length: dims.reduce((p, d) => p * d) }, () => uniformReal(values) - 0.4),
      ),
      name,
    );
  const x = b.input('x', 'float32', ['batch', 3]);
  const mean = b.constant(floatTensor([4], [0.1, 0.2, 0.3, 0.4]), 'n.running_mean');
  const spread = b.constant(floatTensor([4], [1, 2, 0.5, 1]), 'n.running_var');
  let h = b.op('Gemm', [x, weight('a.weight', 3, 4), weight('a.bias', 4)]);
  const affine = [weight('n.weight', 4), weight('n.bias', 4)];
  const attributes = { momentum: { float: MOMENTUM } };
  for (let use = 0; use < uses; use++) {
    const operands = [h, ...affine, mean, spread];
    h =
      mode === 'training'
        ? b.many('BatchNormalization', operands, { ...attributes, training_mode: 1 }, 3)[0]!
        : b.op('BatchNormalization', operands, attributes);
  }
  const isOn = b.constant(boolTensor([], [mode === 'training']));
  h = b.op('Dropout', [h, b.scalar(dropped), isOn]);
  const y = b.op('Gemm', [h, weight('o.weight', 4, 1), weight('o.bias', 1)]);
  return writeModel(b.graph('network', [b.named(y, 'y')]), { producer: 'test', version: '1' });
}

async function trained<T>(
  model: Uint8Array,
  options: TrainingOptions,
  use: (trainer: Trainer, start: TrainingState) => Promise<T>,
): Promise<T> {
  const trainer = await Trainer.open(buildTraining(model, options));
  try {
    const slots = initialSlots(trainer.manifest);
    return await use(trainer, {
      parameters: initialParameters(model, options),
      slots,
      stepCount: 0,
    });
  } finally {
    await trainer.close();
  }
}

/** A named part of the flat vector. */
function part({ manifest }: Trainer, flat: Float32Array, name: string): number[] {
  const { offset, count } = manifest.parameters.find((entry) => entry.name === name)!;
  return [...flat.subarray(offset, offset + count)];
}

const close = (found: readonly number[], wanted: readonly number[]): void => {
  found.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 5));
};

/** Mean and variance of the columns of the first layer's result over the rows given. */
function statistics(trainer: Trainer, flat: Float32Array, divisor: number) {
  const [w, c] = [part(trainer, flat, 'a.weight'), part(trainer, flat, 'a.bias')];
  const at = (row: number, j: number) =>
    c[j]! + [0, 1, 2].reduce((sum, k) => sum + inputs[row * 3 + k]! * w[k * 4 + j]!, 0);
  const rows = Array.from({ length: ROWS }, (_, i) => i);
  const mean = c.map((_, j) => rows.reduce((sum, row) => sum + at(row, j), 0) / ROWS);
  const variance = mean.map(
    (m, j) => rows.reduce((sum, row) => sum + (at(row, j) - m) ** 2, 0) / divisor,
  );
  return { mean, variance };
}

describe('running statistics', () => {
  test('come last in the vector, and no optimizer moves them', async () => {
    const { manifest } = buildTraining(network('training'), OPTIONS);
    expect(manifest.parameters.map(({ name, role }) => `${name} ${role}`)).toEqual([
      'a.weight trainable',
      'a.bias trainable',
      'n.weight trainable',
      'n.bias trainable',
      'o.weight trainable',
      'o.bias trainable',
      'n.running_mean buffer',
      'n.running_var buffer',
    ]);
    expect(manifest).toMatchObject({ parameterCount: 37, trainableCount: 29, frozen: [] });
    expect(initialSlots(manifest)).toHaveLength(29);
    const length = await trained(network('training'), OPTIONS, async (trainer, start) => {
      const { gradient } = await trainer.gradient({ ...start, inputs, labels });
      return gradient.length;
    });
    expect(length).toBe(29);
  });

  test.each([
    ['torch', ROWS - 1],
    ['onnx', ROWS],
  ] as const)(
    'move towards the batch with the variance of %s',
    async (runningVariance, divisor) => {
      const options = { ...OPTIONS, runningVariance };
      await trained(network('training'), options, async (trainer, start) => {
        const next = await trainer.step({ ...start, inputs, labels, learningRate: 0.1 });
        const { mean, variance } = statistics(trainer, start.parameters, divisor);
        for (const [name, batch] of [
          ['n.running_mean', mean],
          ['n.running_var', variance],
        ] as const) {
          const before = part(trainer, start.parameters, name);
          close(
            part(trainer, next.parameters, name),
            batch.map((value, i) => MOMENTUM * before[i]! + (1 - MOMENTUM) * value),
          );
        }
      });
    },
  );

  test('keep their variance finite on a batch of one row', async () => {
    await trained(network('training'), OPTIONS, async (trainer, start) => {
      const row = { inputs: inputs.subarray(0, 3), labels: labels.subarray(0, 1) };
      const next = await trainer.step({ ...start, ...row, learningRate: 0.1 });
      close(part(trainer, next.parameters, 'n.running_var'), [0.8, 1.6, 0.4, 0.8]);
    });
  });

  test('pass from one use of a layer to its next', async () => {
    const once = await trained(network('training'), OPTIONS, async (trainer, start) => {
      const next = await trainer.step({ ...start, inputs, labels, learningRate: 0 });
      return part(trainer, next.parameters, 'n.running_mean');
    });
    await trained(
      network('training', 2),
      { ...OPTIONS, unshare: false },
      async (trainer, start) => {
        const next = await trainer.step({ ...start, inputs, labels, learningRate: 0 });
        // The second use sees normalised values, whose mean is the layer's bias.
        const bias = part(trainer, start.parameters, 'n.bias');
        const wanted = once.map((value, i) => MOMENTUM * value + (1 - MOMENTUM) * bias[i]!);
        close(part(trainer, next.parameters, 'n.running_mean'), wanted);
      },
    );
  });
});

test('an epoch with a short last batch is bit for bit the same as its steps', async () => {
  await trained(network('training'), OPTIONS, async (trainer, start) => {
    const learningRate = 0.1;
    const call = { inputs, labels, order, batchSize: 4, learningRate };
    const epoch = await trainer.epoch({ ...start, ...call });
    let state = start;
    const losses: number[] = [];
    for (let at = 0; at < ROWS; at += 4) {
      const rows = [...order.subarray(at, at + 4)];
      const x = Float32Array.from(
        rows.flatMap((row) => [...inputs.subarray(row * 3, row * 3 + 3)]),
      );
      const y = Float32Array.from(rows, (row) => labels[row]!);
      const next = await trainer.step({ ...state, inputs: x, labels: y, learningRate });
      losses.push(next.loss);
      state = next;
    }
    expect([...epoch.losses]).toEqual(losses);
    expect(epoch.parameters).toEqual(state.parameters);
    expect(epoch.slots).toEqual(state.slots);
    expect(epoch.stepCount).toBe(3);
  });
});

describe('batchNorm', () => {
  const names = (model: Uint8Array, options: Partial<TrainingOptions> = {}) => {
    const { parameters, frozen } = inspectModel(model, options);
    return { buffers: parameters.filter(({ role }) => role === 'buffer').length, frozen };
  };

  test('follows the export unless told otherwise', () => {
    const statistic = ['n.running_mean', 'n.running_var'];
    expect(names(network('training'))).toEqual({ buffers: 2, frozen: [] });
    expect(names(network('inference'))).toEqual({ buffers: 0, frozen: statistic });
    expect(names(network('inference'), { batchNorm: 'train' })).toEqual({ buffers: 2, frozen: [] });
    expect(names(network('training'), { batchNorm: 'frozen' })).toEqual({
      buffers: 0,
      frozen: statistic,
    });
  });

  test('train makes an inference export learn as a training export does', async () => {
    const step = (model: Uint8Array, options: TrainingOptions) =>
      trained(model, options, (trainer, start) =>
        trainer.step({ ...start, inputs, labels, learningRate: 0.1 }),
      );
    const wanted = await step(network('training'), OPTIONS);
    expect(await step(network('inference'), { ...OPTIONS, batchNorm: 'train' })).toEqual(wanted);
    const frozen = await step(network('training'), { ...OPTIONS, batchNorm: 'frozen' });
    expect(frozen).toEqual(await step(network('inference'), OPTIONS));
    expect(frozen.loss).not.toBe(wanted.loss);
  });

  test.each(['train', 'frozen', 'asExported'] as const)(
    'after %s the exported model gives what evaluating gives',
    async (batchNorm) => {
      const options = { ...OPTIONS, batchNorm };
      for (const model of [network('training'), network('inference')]) {
        await trained(model, options, async (trainer, start) => {
          const call = { inputs, labels, order, batchSize: 5, learningRate: 0.1 };
          const { parameters } = await trainer.epoch({ ...start, ...call });
          const { outputs } = await trainer.evaluate({ parameters, inputs, labels });
          const bytes = exportModel(model, parameters, options);
          const session = await Session.open(bytes);
          const x = { dtype: 'float32', dims: [ROWS, 3], data: inputs };
          const { y } = await session.run({ x }, ['y']);
          await session.close();
          // Not to the bit: with constant weights the runtime folds the normalisation into the Gemm.
          close([...(y!.data as Float32Array)], [...outputs]);
          const norm = decodeModel(bytes).graph!.node!.find((n) => n.opType!.startsWith('Batch'))!;
          expect(norm.output).toHaveLength(1);
        });
      }
    },
  );
});

test('dropout is on in steps and off in evaluation', async () => {
  const model = network('training', 1, 0.5);
  await trained(model, { ...OPTIONS, batchNorm: 'frozen' }, async (trainer, start) => {
    const call = { ...start, inputs, labels };
    const { meanLoss, outputs } = await trainer.evaluate(call);
    expect((await trainer.step({ ...call, learningRate: 0 })).loss).not.toBeCloseTo(meanLoss, 5);
    const dry = await trained(network('inference'), OPTIONS, (other) => other.evaluate(call));
    expect(outputs).toEqual(dry.outputs);
  });
});

describe('roles by name', () => {
  const roles = (options: Partial<TrainingOptions>) =>
    inspectModel(network('inference'), options).parameters.map(
      ({ name, role }) => `${name} ${role}`,
    );

  test('trainable, frozen and local take names and patterns', () => {
    expect(roles({ trainable: ['o.*', 'a.weight'], local: ['o.bias'] })).toEqual([
      'a.weight trainable',
      'o.weight trainable',
      'o.bias local',
    ]);
    expect(roles({ frozen: ['*.bias', 'n*t'] })).toEqual([
      'a.weight trainable',
      'o.weight trainable',
    ]);
  });

  test('a frozen weight stays as it is, a local one moves', async () => {
    const options = { ...OPTIONS, frozen: ['a.*'], local: ['o.weight'] };
    await trained(network('training'), options, async (trainer, start) => {
      const { parameters } = await trainer.step({ ...start, inputs, labels, learningRate: 0.1 });
      expect(trainer.manifest.frozen).toEqual(['a.weight', 'a.bias']);
      expect(part(trainer, parameters, 'o.weight')).not.toEqual(
        part(trainer, start.parameters, 'o.weight'),
      );
      const again = initialParameters(exportModel(network('training'), parameters, options));
      const before = initialParameters(network('training'));
      expect(again.subarray(0, 16)).toEqual(before.subarray(0, 16));
    });
  });

  test.each([
    [{ frozen: ['nobody'] }, 'no weight is called "nobody"'],
    [{ frozen: ['a.*'], local: ['a.bias'] }, '"a.bias" cannot be frozen and local'],
    [
      { local: ['n.*'], batchNorm: 'train' },
      '"n.running_mean" is a running statistic and cannot be local or frozen',
    ],
  ] as const)('%j is refused', (options, message) => {
    expect(() => inspectModel(network('inference'), options)).toThrow(message);
  });
});
