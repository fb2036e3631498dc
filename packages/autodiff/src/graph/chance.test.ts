import { describe, expect, test } from '@jest/globals';
import { writeModel } from '../file/writer.ts';
import { initialParameters } from '../inspect.ts';
import { infer } from '../ops/registry.ts';
import { buildTraining } from '../training/build.ts';
import { initialSlots, Trainer } from '../training/trainer.ts';
import { Builder } from './builder.ts';
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
