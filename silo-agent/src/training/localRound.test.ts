import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { initialParameters } from '@medley/autodiff';
import { seededRng, systemClock } from '@medley/kit';
import { encodedRange, encodeModelState, layoutFor, probabilityOf } from '@medley/study';
import { makeHands, type Hands } from '../../../tests/support/hands.ts';
import { openDataset } from '../connectors/dataset.ts';
import { ownStandardisation } from './baseline.ts';
import { epochOrders } from './batch.ts';
import { InThreadWork } from './local.ts';
import { examplesOf } from './localRound.ts';
import type { WorkProgress } from './work.ts';

let hands: Hands;
let work: InThreadWork;
beforeEach(async () => {
  hands = await makeHands();
  work = new InThreadWork(systemClock);
});
afterEach(async () => {
  await work.close();
  await hands.remove();
});

/** The model's own weights, standardised by this site's rows. */
async function startState(): Promise<Uint8Array> {
  const dataset = await openDataset(hands.site, hands.study);
  const standardisation = ownStandardisation(hands.study, dataset);
  return encodeModelState({ parameters: initialParameters(hands.model), standardisation });
}

const sum = (values: Iterable<number>): number => [...values].reduce((all, one) => all + one, 0);

test.each(['statistics', 'training', 'evaluation'] as const)(
  'fills every slot of a %s round, and no other',
  async (kind) => {
    const { values } = await work.perform(hands.task(kind, await startState()));
    const layout = layoutFor(hands.study, hands.charter, kind);
    expect(Object.fromEntries(layout.map(({ name, length }) => [name, length]))).toEqual(
      Object.fromEntries(Object.entries(values).map(([name, { length }]) => [name, length])),
    );
    for (const { name, bound } of layout) {
      for (const value of values[name]!) expect(Math.abs(value)).toBeLessThanOrEqual(bound);
    }
  },
);

test('statistics describe the training rows only', async () => {
  const dataset = await openDataset(hands.site, hands.study);
  const { values, summary } = await work.perform(hands.task('statistics'));
  expect(values['count']).toEqual(Float64Array.of(20));
  const { low, high } = encodedRange(hands.study)[0]!;
  const ages = Array.from(dataset.train, (row) => dataset.values[row * dataset.columns]!);
  const wanted = sum(ages.map((age) => (2 * age - low - high) / (high - low))) / 5000;
  expect(values['sum']![0]).toBeCloseTo(wanted, 12);
  expect(summary).toMatchObject({ kind: 'statistics', trainRows: 20, testRows: 20 });
  expect(summary.startingModel).toBeUndefined();
});

describe('a training round', () => {
  /** Plain logistic regression by SGD, written apart from the engine. */
  async function reference(): Promise<number[]> {
    const { study, site, model } = hands;
    const dataset = await openDataset(site, study);
    const { inputs, labels } = examplesOf(
      dataset,
      dataset.train,
      ownStandardisation(study, dataset),
    );
    const start = Array.from(initialParameters(model));
    const weights = [...start];
    const { batchSize, learningRate } = study.training;
    for (const order of epochOrders(seededRng('order'), labels.length, batchSize, 10)) {
      for (let at = 0; at < order.length; at += batchSize) {
        const batch = [...order.subarray(at, at + batchSize)];
        const gradient = weights.map(() => 0);
        for (const row of batch) {
          const x = [...inputs.subarray(row * 4, row * 4 + 4), 1];
          const error = probabilityOf(sum(x.map((v, i) => v * weights[i]!))) - labels[row]!;
          x.forEach((v, i) => {
            gradient[i]! += (error * v) / batch.length;
          });
        }
        gradient.forEach((g, i) => {
          weights[i]! -= learningRate * g;
        });
      }
    }
    return weights.map((weight, i) => weight - start[i]!);
  }

  test('sends the weighted change that plain gradient descent makes', async () => {
    const { values, summary } = await work.perform(hands.task('training', await startState()));
    expect(values['weight']).toEqual(Float64Array.of(20));
    const delta = Array.from(values['update']!, (value) => (value * 5000) / 20);
    (await reference()).forEach((wanted, i) => expect(delta[i]).toBeCloseTo(wanted, 5));
    expect(summary.training).toMatchObject({ steps: 10, isClipped: false });
    expect(summary.training?.updateNormL2).toBeCloseTo(Math.hypot(...delta), 5);
    expect(values['trainLoss']![0]).toBeCloseTo(
      (summary.training!.meanLoss * 20) / (20 * 5000),
      12,
    );
  });

  test('tells the exact figures of the starting model to this site and adds the same to the sum', async () => {
    const start = await startState();
    const trained = await work.perform(hands.task('training', start));
    const evaluated = await work.perform(hands.task('evaluation', start));
    expect(trained.summary.startingModel).toEqual(evaluated.summary.startingModel);
    const { count, brier } = trained.summary.startingModel!;
    expect(count).toBe(20);
    expect(trained.values['brier']![0]).toBeCloseTo((brier * 20) / 5000, 12);
    expect(sum(trained.values['positives']!) + sum(trained.values['negatives']!)).toBe(20);
  });

  test('clips to the charter and says so', async () => {
    await hands.remove();
    hands = await makeHands((yaml) =>
      yaml.replace('normL2: 1, coordinate: 0.5', 'normL2: 0.1, coordinate: 0.03'),
    );
    const { values, summary } = await work.perform(hands.task('training', await startState()));
    const delta = Array.from(values['update']!, (value) => (value * 5000) / 20);
    expect(Math.hypot(...delta)).toBeLessThanOrEqual(0.1);
    expect(Math.max(...delta.map(Math.abs))).toBeCloseTo(0.03, 6);
    expect(summary.training?.isClipped).toBe(true);
  });

  test('repeats under one seed and depends on it', async () => {
    const task = hands.task('training', await startState());
    const { values: first } = await work.perform(task);
    const { values: again } = await work.perform(task);
    const { values: other } = await work.perform({ ...task, seed: 'another' });
    expect(again).toEqual(first);
    expect(other['update']).not.toEqual(first['update']);
  });

  test('tells its progress up to the last step', async () => {
    const seen: WorkProgress[] = [];
    const task = hands.task('training', await startState());
    await work.perform(task, undefined, (progress) => seen.push(progress));
    expect(seen.at(-1)).toEqual({ done: 10, total: 10 });
  });

  test('stops at the next chunk when cancelled, and the port goes on working', async () => {
    await hands.remove();
    hands = await makeHands((yaml) => yaml.replace('localEpochs: 2', 'localSteps: 1000000'));
    const abort = new AbortController();
    const task = hands.task('training', await startState());
    const seen: WorkProgress[] = [];
    const running = work.perform(task, abort.signal, (progress) => {
      seen.push(progress);
      abort.abort();
    });
    await expect(running).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(seen).toHaveLength(1);
    await expect(work.perform(hands.task('statistics'))).resolves.toBeDefined();
  });

  test('refuses a model that diverges', async () => {
    await hands.remove();
    hands = await makeHands((yaml) =>
      yaml
        .replace('learningRate: 0.1', 'learningRate: 100')
        .replace('{ kind: sgd }', '{ kind: sgd, momentum: 0.999 }')
        .replace('localEpochs: 2', 'localSteps: 100000'),
    );
    const parameters = initialParameters(hands.model).fill(3e38);
    const dataset = await openDataset(hands.site, hands.study);
    const standardisation = ownStandardisation(hands.study, dataset);
    const state = encodeModelState({ parameters, standardisation });
    await expect(work.perform(hands.task('training', state))).rejects.toMatchObject({
      code: 'TRAINING_NOT_FINITE',
    });
  });
});

test('rows are read again when the file changes, and faults are coded', async () => {
  const first = await work.perform(hands.task('statistics'));
  const file = join(hands.site.folder, 'a.csv');
  await appendFile(file, '30,I,7,0,50\n30,I,7,0,50\n');
  const second = await work.perform(hands.task('statistics'));
  expect(second.summary.trainRows).toBe(21);
  expect(second.summary.fingerprint).not.toBe(first.summary.fingerprint);
  await appendFile(file, 'x,I,7,0,50\n');
  await expect(work.perform(hands.task('statistics'))).rejects.toMatchObject({
    code: 'DATA_VALUE_INVALID',
  });
});

test('a state of another model is refused', async () => {
  const state = encodeModelState({ parameters: new Float32Array(3), standardisation: null });
  await expect(work.perform(hands.task('training', state))).rejects.toMatchObject({
    code: 'MODEL_PARAMETERS_MISMATCH',
  });
  await expect(work.perform(hands.task('evaluation', new Uint8Array(9)))).rejects.toMatchObject({
    code: 'MODEL_STATE_INVALID',
  });
});

test('closing interrupts what waits and refuses what comes', async () => {
  const waiting = work.perform(hands.task('statistics'));
  const closing = work.close();
  await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await closing;
  await expect(work.perform(hands.task('statistics'))).rejects.toMatchObject({
    code: 'INTERRUPTED',
  });
});
