import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@medley/kit';
import { learnableRows, makeHands, type Hands } from '../../../tests/support/hands.ts';
import { makeSite, type TestSite } from '../../../tests/support/site.ts';
import { openDataset } from '../connectors/dataset.ts';
import { ownStandardisation, trainBaseline } from './baseline.ts';

let made: (Hands | TestSite)[] = [];
afterEach(async () => {
  await Promise.all(made.map((one) => one.remove()));
  made = [];
});

async function hands(change?: (yaml: string) => string): Promise<Hands> {
  const one = await makeHands(change);
  made.push(one);
  return one;
}

describe('trainBaseline', () => {
  test('takes as many steps as the federation and learns', async () => {
    const { study, model, site } = await hands((yaml) => yaml.replace('count: 2', 'count: 40'));
    const dataset = await openDataset(site, study);
    const request = { study, modelOnnx: model, dataset, seed: 's' };
    const baseline = await trainBaseline(request, { clock: systemClock });
    expect(baseline.steps).toBe(40 * 2 * 5);
    expect(baseline.auc).toBeGreaterThan(0.8);
    expect(baseline.perSource).toEqual({
      a: { train: 20, test: 20, auc: baseline.auc, brier: baseline.brier },
    });
    expect(await trainBaseline(request, { clock: systemClock })).toEqual(baseline);
  });

  test('tells the figures of each source when several are pooled', async () => {
    const { study, model } = await hands();
    const pooled = await makeSite({ 'a.csv': learnableRows(), 'b.csv': learnableRows(5) });
    made.push(pooled);
    const dataset = await openDataset(pooled.site, study);
    const { brier, perSource } = await trainBaseline(
      { study, modelOnnx: model, dataset, seed: 's' },
      { clock: systemClock },
    );
    expect(Object.keys(perSource)).toEqual(['a', 'b']);
    expect((perSource['a']!.brier + perSource['b']!.brier) / 2).toBeCloseTo(brier, 12);
  });

  test('can be cancelled', async () => {
    const { study, model, site } = await hands();
    const dataset = await openDataset(site, study);
    const watch = { clock: systemClock, signal: AbortSignal.abort() };
    await expect(
      trainBaseline({ study, modelOnnx: model, dataset, seed: 's' }, watch),
    ).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});

test('own standardisation is mean and population deviation of the training rows, numbers only', async () => {
  const { study, site } = await hands();
  const dataset = await openDataset(site, study);
  const { mean, scale } = ownStandardisation(study, dataset);
  const ages = Array.from(dataset.train, (row) => dataset.values[row * dataset.columns]!);
  const average = ages.reduce((sum, age) => sum + age, 0) / ages.length;
  const variance = ages.reduce((sum, age) => sum + (age - average) ** 2, 0) / ages.length;
  expect(mean[0]).toBeCloseTo(average, 10);
  expect(scale[0]).toBeCloseTo(Math.sqrt(variance), 10);
  expect([mean[1], scale[1], mean[2], scale[2]]).toEqual([0, 1, 0, 1]);
});
