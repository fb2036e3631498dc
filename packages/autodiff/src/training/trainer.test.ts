import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import { initialParameters } from '../inspect.ts';
import { buildMlp } from '../mlp.ts';
import type { OptimizerOptions } from '../optimizer/optimizer.ts';
import { buildTraining } from './build.ts';
import { initialSlots, Trainer, type TrainingState } from './trainer.ts';

const ROWS = 23;
const rng = seededRng('rows');
const inputs = Float32Array.from({ length: ROWS * 5 }, () => uniformReal(rng) * 2 - 1);
const classes = Int32Array.from({ length: ROWS }, (_, i) => (i * i) % 3);
const model = buildMlp({ features: 5, hidden: [7, 4], outputs: 3, activation: 'tanh', seed: 'm' });
const order = Int32Array.from({ length: ROWS }, (_, i) => (i * 10) % ROWS);
const batchSize = 5;

const optimizers: readonly OptimizerOptions[] = [
  { kind: 'sgd' },
  { kind: 'sgd', momentum: 0.9, dampening: 0.1, weightDecay: 0.01 },
  { kind: 'adam' },
  { kind: 'adamw' },
];

function fresh(trainer: Trainer): TrainingState {
  return {
    parameters: initialParameters(model),
    slots: initialSlots(trainer.manifest),
    stepCount: 0,
  };
}

/** Rows of one batch, gathered by hand. */
function batch(rows: Int32Array) {
  const x = new Float32Array(rows.length * 5);
  rows.forEach((row, i) => x.set(inputs.subarray(row * 5, row * 5 + 5), i * 5));
  return { inputs: x, labels: Int32Array.from(rows, (row) => classes[row]!) };
}

describe.each(optimizers)('an epoch with %j', (optimizer) => {
  let trainer: Trainer;
  beforeAll(async () => {
    trainer = await Trainer.open(buildTraining(model, { loss: 'cross_entropy', optimizer }));
  });
  afterAll(() => trainer.close());

  test('is bit for bit the same as its steps', async () => {
    const start = fresh(trainer);
    const whole = order.subarray(0, 20);
    const epoch = await trainer.epoch({
      ...start,
      inputs,
      labels: classes,
      order: whole,
      batchSize,
      learningRate: 0.05,
    });
    let state: TrainingState = start;
    const losses: number[] = [];
    for (let at = 0; at < whole.length; at += batchSize) {
      const next = await trainer.step({
        ...state,
        ...batch(whole.subarray(at, at + batchSize)),
        learningRate: 0.05,
      });
      losses.push(next.loss);
      state = next;
    }
    expect([...epoch.losses]).toEqual(losses);
    expect(epoch.parameters).toEqual(state.parameters);
    expect(epoch.slots).toEqual(state.slots);
    expect(epoch.stepCount).toBe(4);
  });

  test('is the same in two parts as in one', async () => {
    const call = { inputs, labels: classes, batchSize, learningRate: 0.05 };
    const one = await trainer.epoch({ ...fresh(trainer), ...call, order });
    const first = await trainer.epoch({ ...fresh(trainer), ...call, order: order.subarray(0, 10) });
    const second = await trainer.epoch({ ...first, ...call, order: order.subarray(10) });
    expect(second.parameters).toEqual(one.parameters);
    expect(second.stepCount).toBe(one.stepCount);
  });
});

describe('a trainer', () => {
  let trainer: Trainer;
  beforeAll(async () => {
    trainer = await Trainer.open(
      buildTraining(model, { loss: 'cross_entropy', optimizer: { kind: 'sgd' } }),
    );
  });
  afterAll(() => trainer.close());

  test('treats a short last batch as what it is', async () => {
    const start = fresh(trainer);
    const rows = order.subarray(0, 3);
    const padded = await trainer.epoch({
      ...start,
      inputs,
      labels: classes,
      order: rows,
      batchSize: 8,
      learningRate: 0.1,
    });
    const exact = await trainer.step({ ...start, ...batch(rows), learningRate: 0.1 });
    expect(padded.losses[0]).toBeCloseTo(exact.loss, 6);
    padded.parameters.forEach((value, i) => expect(value).toBeCloseTo(exact.parameters[i]!, 6));
  });

  test('leaves rows of weight 0 out, and moves nothing when no row counts', async () => {
    const start = fresh(trainer);
    const { gradient } = await trainer.gradient({ ...start, ...batch(order.subarray(0, 2)) });
    const masked = await trainer.gradient({
      ...start,
      ...batch(order.subarray(0, 4)),
      sampleWeights: Float32Array.of(1, 1, 0, 0),
    });
    masked.gradient.forEach((value, i) => expect(value).toBeCloseTo(gradient[i]!, 6));
    const none = await trainer.step({
      ...start,
      ...batch(order.subarray(0, 2)),
      sampleWeights: new Float32Array(2),
      learningRate: 1,
    });
    expect(none.loss).toBe(0);
    expect(none.parameters).toEqual(start.parameters);
  });

  test('evaluates rows without a gradient', async () => {
    const { parameters } = fresh(trainer);
    const result = await trainer.evaluate({ parameters, inputs, labels: classes });
    expect(result.dims).toEqual([ROWS, 3]);
    const mean = result.losses.reduce((sum, loss) => sum + loss, 0) / ROWS;
    expect(result.meanLoss).toBeCloseTo(mean, 6);
    const logits = result.outputs.subarray(0, 3);
    const norm = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    expect(result.losses[0]).toBeCloseTo(norm - logits[classes[0]!]!, 5);
  });

  test('changes none of the arrays it is given', async () => {
    const start = fresh(trainer);
    const copies = [start.parameters.slice(), inputs.slice(), classes.slice()];
    await trainer.epoch({ ...start, inputs, labels: classes, order, batchSize, learningRate: 0.1 });
    expect([start.parameters, inputs, classes]).toEqual(copies);
  });

  test('names the tensor that left the range of numbers', async () => {
    const start = fresh(trainer);
    const rows = batch(order.subarray(0, 4));
    await expect(trainer.step({ ...start, ...rows, learningRate: 1e39 })).rejects.toMatchObject({
      code: 'TRAINING_NOT_FINITE',
      message: expect.stringContaining('net.0.weight'),
    });
    const broken = start.parameters.slice().fill(NaN);
    await expect(
      trainer.step({ ...start, parameters: broken, ...rows, learningRate: 0.1 }),
    ).rejects.toMatchObject({
      code: 'TRAINING_NOT_FINITE',
      message: expect.stringContaining('loss'),
    });
  });

  test.each([
    ['a missing row', { inputs: inputs.subarray(5) }, 'TRAINING_DATA_INVALID'],
    ['half a row', { inputs: inputs.subarray(2) }, 'TRAINING_DATA_INVALID'],
    ['doubles', { inputs: Float64Array.from(inputs) }, 'TRAINING_DATA_INVALID'],
    ['an unknown input', { inputs: { other: inputs } }, 'TRAINING_DATA_INVALID'],
    ['a class too many', { labels: classes.slice().fill(3) }, 'TRAINING_DATA_INVALID'],
    ['a negative class', { labels: classes.slice().fill(-1) }, 'TRAINING_DATA_INVALID'],
    ['a row that is not there', { order: Int32Array.of(ROWS) }, 'TRAINING_DATA_INVALID'],
    ['no row', { order: new Int32Array() }, 'TRAINING_DATA_INVALID'],
    ['no batch', { batchSize: 0 }, 'TRAINING_OPTIONS_INVALID'],
    ['a parameter too few', { parameters: new Float32Array(3) }, 'MODEL_PARAMETERS_MISMATCH'],
    ['slots of another optimizer', { slots: new Float32Array(9) }, 'MODEL_PARAMETERS_MISMATCH'],
    ['a rate that is no number', { learningRate: NaN }, 'TRAINING_OPTIONS_INVALID'],
    [
      'a setting the optimizer lacks',
      { hyperparameters: { beta1: 0.5 } },
      'TRAINING_OPTIONS_INVALID',
    ],
    ['half an update', { stepCount: 0.5 }, 'TRAINING_OPTIONS_INVALID'],
  ])('refuses %s', async (_, wrong, code) => {
    const call = {
      ...fresh(trainer),
      inputs,
      labels: classes,
      order,
      batchSize,
      learningRate: 0.1,
    };
    await expect(trainer.epoch({ ...call, ...wrong })).rejects.toMatchObject({ code });
  });

  test('takes class labels as any integers', async () => {
    const call = { ...fresh(trainer), inputs, order, batchSize, learningRate: 0.1 };
    const one = await trainer.epoch({ ...call, labels: classes });
    const two = await trainer.epoch({ ...call, labels: BigInt64Array.from(classes, BigInt) });
    expect(two.parameters).toEqual(one.parameters);
  });
});
