import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import { initialParameters } from '../../inspect.ts';
import { buildMlp } from '../../mlp.ts';
import { buildTraining } from '../build.ts';
import type { TrainingOptions } from '../manifest.ts';
import { initialSlots, Trainer, type TrainingState } from '../trainer.ts';
import { privateUpdates } from './epoch.ts';
import { gaussianNoise } from './noise.ts';

const ROWS = 40;
const rng = seededRng('rows');
const inputs = Float32Array.from({ length: ROWS * 5 }, () => uniformReal(rng) * 2 - 1);
const labels = Int32Array.from({ length: ROWS }, (_, i) => (i * i) % 3);
const model = buildMlp({ features: 5, hidden: [7], outputs: 3, activation: 'tanh', seed: 'm' });
const base = { loss: 'cross_entropy', optimizer: { kind: 'sgd' } } as const;
const privacy = { clip: 0.3, lotSize: 8 };

const open = (options: Partial<TrainingOptions>): Promise<Trainer> =>
  Trainer.open(buildTraining(model, { ...base, ...options }));

const start = (trainer: Trainer): TrainingState => ({
  parameters: initialParameters(model),
  slots: initialSlots(trainer.manifest),
  stepCount: 0,
});

describe.each([{ kind: 'sgd', momentum: 0.9 } as const, { kind: 'adam' } as const])(
  'private training with %j',
  (optimizer) => {
    let trainer: Trainer;
    beforeAll(async () => {
      trainer = await open({ optimizer, privacy });
    });
    afterAll(() => trainer.close());

    test('is in an epoch bit for bit what its steps are', async () => {
      const order = Int32Array.from({ length: ROWS }, (_, i) => (i * 7) % ROWS);
      const { trainableCount } = trainer.manifest;
      const noise = gaussianNoise(seededRng('noise'), 5 * trainableCount, 0.2);
      const call = { labels, learningRate: 0.05 };
      const whole = { ...start(trainer), ...call, inputs, order, batchSize: 8, noise };
      const epoch = await trainer.epoch(whole);
      let state = start(trainer);
      for (let step = 0; step < 5; step++) {
        const rows = order.subarray(step * 8, step * 8 + 8);
        const x = Float32Array.from(
          { length: 40 },
          (_, i) => inputs[rows[Math.floor(i / 5)]! * 5 + (i % 5)]!,
        );
        state = await trainer.step({
          ...state,
          inputs: x,
          labels: Int32Array.from(rows, (row) => labels[row]!),
          learningRate: 0.05,
          noise: noise.subarray(step * trainableCount, (step + 1) * trainableCount),
        });
      }
      expect(epoch.parameters).toEqual(state.parameters);
      expect(epoch.slots).toEqual(state.slots);
    });

    test('draws lots and noise for its updates and counts them', async () => {
      const call = {
        inputs,
        labels,
        learningRate: 0.05,
        rows: ROWS,
        steps: 7,
        rate: 0.2,
        noiseMultiplier: 1,
      };
      const once = await privateUpdates(trainer, {
        ...start(trainer),
        ...call,
        rng: seededRng('a'),
      });
      const again = await privateUpdates(trainer, {
        ...start(trainer),
        ...call,
        rng: seededRng('a'),
      });
      const other = await privateUpdates(trainer, {
        ...start(trainer),
        ...call,
        rng: seededRng('b'),
      });
      expect(once).toEqual(again);
      expect(once.parameters).not.toEqual(other.parameters);
      expect([once.stepCount, once.losses.length]).toEqual([7, 7]);
    });
  },
);

describe('private updates', () => {
  test('take a learning rate for each, and refuse no noise', async () => {
    const trainer = await open({ privacy });
    const call = { ...start(trainer), inputs, labels, rows: ROWS, steps: 3, rate: 0.2 };
    const run = (learningRate: number | Float64Array, noiseMultiplier = 1) =>
      privateUpdates(trainer, { ...call, learningRate, noiseMultiplier, rng: seededRng('r') });
    const one = await run(0.1);
    const each = await run(Float64Array.of(0.1, 0.1, 0.1));
    expect(each.parameters).toEqual(one.parameters);
    const refusal = { code: 'TRAINING_OPTIONS_INVALID' };
    await expect(run(Float64Array.of(0.1))).rejects.toMatchObject(refusal);
    await expect(run(0.1, 0)).rejects.toMatchObject(refusal);
    await trainer.close();
  });
});

describe('a private step', () => {
  test('is the plain one for a clip norm that nothing reaches', async () => {
    const [plain, trainer] = [
      await open({}),
      await open({ privacy: { clip: 1e6, lotSize: ROWS } }),
    ];
    const call = { inputs, labels, learningRate: 0.1 };
    const wanted = await plain.step({ ...start(plain), ...call });
    const noise = new Float32Array(trainer.manifest.trainableCount);
    const found = await trainer.step({ ...start(trainer), ...call, noise });
    wanted.parameters.forEach((value, i) => expect(found.parameters[i]).toBeCloseTo(value, 6));
    expect(found.loss).toBeCloseTo(wanted.loss, 6);
    await Promise.all([plain.close(), trainer.close()]);
  });

  test('takes clip norm and lot size from the call', async () => {
    const trainer = await open({ privacy });
    const noise = new Float32Array(trainer.manifest.trainableCount);
    const call = { ...start(trainer), inputs, labels, learningRate: 1, noise };
    const length = async (hyperparameters: Record<string, number>): Promise<number> => {
      const { parameters } = await trainer.step({ ...call, hyperparameters });
      return Math.hypot(...parameters.map((value, i) => value - call.parameters[i]!));
    };
    const small = await length({ clip_norm: 1e-3, lot_size: 1 });
    expect(small).toBeLessThanOrEqual(ROWS * 1e-3 * (1 + 1e-5));
    expect(await length({ clip_norm: 2e-3, lot_size: 4 })).toBeCloseTo(small / 2, 6);
    await expect(length({ clip_norm: 0 })).rejects.toMatchObject({
      code: 'TRAINING_OPTIONS_INVALID',
    });
    await expect(length({ lot_size: -1 })).rejects.toMatchObject({
      code: 'TRAINING_OPTIONS_INVALID',
    });
    await trainer.close();
  });

  test('of an empty lot is the noise alone', async () => {
    const trainer = await open({ privacy });
    const noise = gaussianNoise(seededRng('n'), trainer.manifest.trainableCount, 3);
    const call = { ...start(trainer), inputs, labels, noise, learningRate: 1 };
    const next = await trainer.step({ ...call, sampleWeights: new Float32Array(ROWS) });
    next.parameters.forEach((value, i) =>
      expect(value).toBeCloseTo(call.parameters[i]! - noise[i]! / privacy.lotSize, 5),
    );
    await trainer.close();
  });

  test('needs noise of the right length, and a plain one refuses it', async () => {
    const [plain, trainer] = [await open({}), await open({ privacy })];
    const call = { inputs, labels, learningRate: 1 };
    const refusal = { code: 'TRAINING_PRIVACY_NOISE' };
    const given = { ...start(trainer), ...call };
    await expect(trainer.step(given)).rejects.toMatchObject(refusal);
    await expect(trainer.step({ ...given, noise: new Float32Array(3) })).rejects.toMatchObject(
      refusal,
    );
    await expect(plain.step({ ...given, noise: new Float32Array(3) })).rejects.toMatchObject(
      refusal,
    );
    await Promise.all([plain.close(), trainer.close()]);
  });

  test.each([0, -1, NaN, Infinity])('refuses the clip norm %d', (clip) => {
    const options = { ...base, privacy: { clip, lotSize: 1 } };
    expect(() => buildTraining(model, options)).toThrow('privacy.clip');
  });
});
