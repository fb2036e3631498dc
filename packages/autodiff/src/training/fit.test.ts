import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ManualClock,
  isMedleyError,
  permutation,
  seededRng,
  systemClock,
  uniformReal,
} from '@medley/kit';
import { initialParameters } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import type { RunRecord } from '../session.ts';
import { buildTraining } from './build.ts';
import { fit } from './fit.ts';
import { initialSlots, Trainer } from './trainer.ts';

const model = buildMlp({ features: 5, hidden: [8], outputs: 1, activation: 'relu', seed: 'fit' });
const artifacts = buildTraining(model, { loss: 'bce_with_logits', optimizer: { kind: 'adam' } });
const rng = seededRng('fit data');
const ROWS = 50;
const inputs = Float32Array.from({ length: ROWS * 5 }, () => uniformReal(rng) - 0.5);
const labels = Float32Array.from({ length: ROWS }, (_, i) => i % 2);
const orders = [1, 2, 3].map(() => permutation(rng, ROWS));
const start = () => ({
  parameters: initialParameters(model),
  slots: initialSlots(artifacts.manifest),
  stepCount: 0,
});

let trainer: Trainer;
beforeAll(async () => {
  trainer = await Trainer.open(artifacts);
});
afterAll(() => trainer.close());

const call = () => ({ ...start(), inputs, labels, batchSize: 8, learningRate: 0.01, orders });
const codeOf = async (work: Promise<unknown>): Promise<unknown> => {
  const error = await work.catch((caught: unknown) => caught);
  return isMedleyError(error) && error.code;
};

describe('a long training', () => {
  test('gives the bits of one epoch after another, however it is cut', async () => {
    let state: ReturnType<typeof start> = start();
    const losses: number[] = [];
    for (const order of orders) {
      const next = await trainer.epoch({ ...call(), ...state, order });
      losses.push(...next.losses);
      state = next;
    }
    // A clock that stands still lets the runs grow; one second a look keeps them at one step.
    let now = 0;
    const slow = { ...systemClock, nowMs: () => (now += 1000) };
    for (const clock of [new ManualClock(), slow]) {
      const fitted = await fit(trainer, call(), { clock });
      expect(fitted.state.parameters).toEqual(state.parameters);
      expect(fitted.state.slots).toEqual(state.slots);
      expect([...fitted.losses]).toEqual(losses);
      expect(fitted.isComplete).toBe(true);
    }
  });

  test('does not touch the vectors it starts from', async () => {
    const given = call();
    await fit(trainer, given, { clock: systemClock });
    expect(given.parameters).toEqual(initialParameters(model));
    expect(given.slots).toEqual(initialSlots(artifacts.manifest));
  });

  test('stops after the chunk in which it was told to, with what was done', async () => {
    const abort = new AbortController();
    const fitted = await fit(trainer, call(), {
      clock: new ManualClock(),
      signal: abort.signal,
      onProgress: ({ steps }) => steps >= 5 && abort.abort(),
    });
    expect(fitted.isComplete).toBe(false);
    expect(fitted.state.stepCount).toBe(fitted.losses.length);
    expect(fitted.losses).toHaveLength(5);
  });

  test('stops after an epoch when asked', async () => {
    const onEpoch = async ({ epoch }: { epoch: number }): Promise<boolean> => epoch < 1;
    const fitted = await fit(trainer, call(), { clock: systemClock, onEpoch });
    expect(fitted.losses).toHaveLength(2 * 7);
    expect(fitted.isComplete).toBe(false);
  });

  test('takes the learning rate of each update', async () => {
    const rates: number[] = [];
    const learningRate = (update: number): number => (rates.push(update), 0.01);
    const fitted = await fit(trainer, { ...call(), learningRate }, { clock: systemClock });
    expect(rates).toEqual(Array.from({ length: 21 }, (_, i) => i));
    expect(fitted.state.parameters).toEqual(
      (await fit(trainer, call(), { clock: systemClock })).state.parameters,
    );
  });
});

describe('data that cannot be trained on', () => {
  test('a batch larger than the data is refused', async () => {
    const work = trainer.epoch({ ...call(), order: orders[0]!, batchSize: ROWS + 1 });
    expect(await codeOf(work)).toBe('TRAINING_OPTIONS_INVALID');
  });

  test('numbers that are none are refused before anything runs', async () => {
    for (const value of [NaN, Infinity]) {
      const broken = inputs.slice();
      broken[7] = value;
      const work = trainer.epoch({ ...call(), inputs: broken, order: orders[0]! });
      expect(await codeOf(work)).toBe('TRAINING_DATA_INVALID');
    }
  });
});

test('an audited training repeats its record, hash by hash', async () => {
  const records: RunRecord[][] = [[], []];
  for (const list of records) {
    const audited = await Trainer.open(artifacts, { onRun: (record) => list.push(record) });
    await fit(audited, call(), { clock: new ManualClock() });
    await audited.close();
  }
  expect(records[0]!.length).toBeGreaterThan(1);
  expect(records[1]).toEqual(records[0]);
  const [first, second] = records[0]!;
  expect(first!.runtime).toMatchObject({ threads: 1, optimisation: 'extended', version: '1.30.0' });
  expect(second!.inputs['parameters']).toEqual(first!.outputs['next_parameters']);
  expect(second!.inputs['input:input']!.sha256).toBe(first!.inputs['input:input']!.sha256);
});
