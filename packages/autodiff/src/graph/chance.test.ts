import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../file/writer.ts';
import { initialParameters } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { buildTraining } from '../training/build.ts';
import { initialSlots, Trainer } from '../training/trainer.ts';
import { Builder } from './builder.ts';
import type { Value } from './graph.ts';
import { boolTensor, floatTensor } from './tensor.ts';

const WIDTH = 4000;

/** x · w, then Dropout: with the loss L1 and labels 0 the gradient shows the mask. */
function model(ratio: number, layers = 1): Uint8Array {
  const b = new Builder(infer);
  const x = b.input('x', 'float32', ['batch', WIDTH]);
  const w = b.constant(floatTensor([WIDTH], new Float32Array(WIDTH).fill(1)), 'w');
  let y = b.op('Mul', [x, w]);
  const isOn = b.constant(boolTensor([], [true]));
  for (let i = 0; i < layers; i++) y = b.op('Dropout', [y, b.scalar(ratio), isOn]);
  return writeModel(b.graph('g', [b.named(y, 'y')]), { producer: 'test', version: '1' });
}

async function opened(bytes: Uint8Array) {
  const artifacts = buildTraining(bytes, { loss: 'mse', optimizer: { kind: 'sgd' } });
  const trainer = await Trainer.open(artifacts);
  const call = {
    parameters: initialParameters(bytes),
    slots: initialSlots(artifacts.manifest),
    stepCount: 0,
    inputs: new Float32Array(3 * WIDTH).fill(1),
    labels: { data: new Float32Array(3 * WIDTH), dims: [3, WIDTH] },
    learningRate: 0.1,
    batchSize: 1,
    order: Int32Array.of(0, 1, 2),
  };
  return { trainer, call };
}

describe('Dropout in training', () => {
  test('gives the same bits in steps, in one epoch and in a fresh session', async () => {
    const { trainer, call } = await opened(model(0.3, 2));
    const epoch = await trainer.epoch(call);
    const again = await (await opened(model(0.3, 2))).trainer.epoch(call);
    expect(again).toEqual(epoch);
    let state = { ...call, losses: new Float32Array() as Float32Array };
    for (let i = 0; i < 3; i++) {
      const one = { ...state, order: Int32Array.of(i) };
      state = { ...state, ...(await trainer.epoch(one)) };
    }
    expect(state.parameters).toEqual(epoch.parameters);
    await trainer.close();
  });

  test('draws another mask for each step, seed and layer', async () => {
    const { trainer, call } = await opened(model(0.5));
    const kept = async (change: object): Promise<string> => {
      const next = await trainer.epoch({ ...call, ...change, order: Int32Array.of(0) });
      return [...next.parameters].map((w) => (w === 1 ? '0' : '1')).join('');
    };
    const masks = [
      await kept({}),
      await kept({ stepCount: 1 }),
      await kept({ hyperparameters: { seed: 1 } }),
    ];
    for (const [i, mask] of masks.entries())
      for (const other of masks.slice(i + 1)) {
        const equal = Array.from(mask).filter((bit, k) => bit === other[k]).length;
        // n = 4000 fair coins: beyond 5 standard deviations (158) once in 1.7 million.
        expect(Math.abs(equal - WIDTH / 2)).toBeLessThan(158);
      }
    await trainer.close();
  });

  test('keeps the share 1 − ratio and divides by it', async () => {
    const { trainer, call } = await opened(model(0.3));
    const { losses } = await trainer.epoch(call);
    for (const loss of losses) {
      // Mean of n = 4000 squares (1/0.7)² with probability 0.7: standard deviation 0.0148, bound 5 of them.
      expect(Math.abs(loss - 1 / 0.7)).toBeLessThan(0.075);
    }
    await trainer.close();
  });
});

describe('other nodes that draw', () => {
  /** x · w plus what is drawn: with the loss L1 the outputs of an update show the numbers. */
  function drawing(draw: (b: Builder, x: Value) => Value): Uint8Array {
    const b = new Builder(infer);
    const x = b.input('x', 'float32', ['batch', WIDTH]);
    const w = b.constant(floatTensor([WIDTH], new Float32Array(WIDTH)), 'w');
    const y = b.op('Add', [b.op('Mul', [x, w]), draw(b, x)]);
    return writeModel(b.graph('g', [b.named(y, 'y')]), { producer: 'test', version: '1' });
  }
  const kinds: readonly (readonly [
    string,
    (b: Builder, x: Value) => Value,
    {
      readonly mean: number;
      readonly variance: number;
      readonly low: number;
      readonly high: number;
    },
  ])[] = [
    [
      'RandomUniformLike',
      (b, x) => b.op('RandomUniformLike', [x], { low: { float: -1.5 }, high: { float: 2.5 } }),
      { mean: 0.5, variance: 16 / 12, low: -1.5, high: 2.5 },
    ],
    [
      'RandomUniform',
      (b) => b.op('RandomUniform', [], { shape: [WIDTH] }),
      { mean: 0.5, variance: 1 / 12, low: 0, high: 1 },
    ],
    [
      'RandomNormalLike',
      (b, x) => b.op('RandomNormalLike', [x], { mean: { float: 2.5 }, scale: { float: 3.5 } }),
      { mean: 2.5, variance: 12.25, low: -30, high: 35 },
    ],
    [
      'RandomNormal',
      (b) => b.op('RandomNormal', [], { shape: [1, WIDTH], scale: { float: 0.5 } }),
      { mean: 0, variance: 0.25, low: -4, high: 4 },
    ],
    [
      'Bernoulli',
      (b, x) => b.op('Bernoulli', [b.op('Mul', [x, b.scalar(0.3)])]),
      { mean: 0.3, variance: 0.21, low: 0, high: 1 },
    ],
  ];

  test.each(kinds)(
    '%s gives the same bits again, and numbers as it should',
    async (_, draw, is) => {
      const { trainer, call } = await opened(drawing(draw));
      const epoch = await trainer.epoch(call);
      let state = { ...call, losses: new Float32Array() as Float32Array };
      const losses: number[] = [];
      for (let i = 0; i < 3; i++) {
        state = { ...state, ...(await trainer.epoch({ ...state, order: Int32Array.of(i) })) };
        losses.push(state.losses[0]!);
      }
      expect(losses).toEqual([...epoch.losses]);
      expect(state.parameters).toEqual(epoch.parameters);
      expect(new Set(losses).size).toBe(3);
      const { outputs } = await trainer.evaluate(call);
      expect((await trainer.evaluate(call)).outputs).toEqual(outputs);
      const row = [...outputs.subarray(0, WIDTH)];
      const mean = row.reduce((sum, value) => sum + value, 0) / WIDTH;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / WIDTH;
      // n = 4000: 5 standard deviations of the mean; the variance has at most √(2/n) of its size.
      expect(Math.abs(mean - is.mean)).toBeLessThan(5 * Math.sqrt(is.variance / WIDTH));
      expect(Math.abs(variance - is.variance)).toBeLessThan(5 * is.variance * Math.sqrt(2 / WIDTH));
      expect(Math.min(...row)).toBeGreaterThanOrEqual(is.low);
      expect(Math.max(...row)).toBeLessThanOrEqual(is.high);
      await trainer.close();
    },
  );
});
