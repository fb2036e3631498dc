import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { buildMlp } from '@medley/autodiff';
import { readBytes, systemClock } from '@medley/kit';
import { featureCount, readStudy, type Study } from '@medley/study';
import { openDataset, rowsOf, type Dataset } from '../../silo-agent/src/connectors/dataset.ts';
import { readSite, type SiteData } from '../../silo-agent/src/connectors/site.ts';
import { ownStandardisation, trainBaseline } from '../../silo-agent/src/training/baseline.ts';
import { runFederation, type FederationResult } from '../support/federation.ts';

const demo = (name: string): string =>
  fileURLToPath(new URL(`../../deploy/demo/${name}`, import.meta.url));
const SITES = ['rotterdam-a', 'rotterdam-b', 'rotterdam-c', 'rotterdam-d', 'gbsg'];
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

interface World {
  readonly study: Study;
  readonly model: Uint8Array;
  readonly sites: readonly SiteData[];
  readonly pooled: Dataset;
  readonly federated: FederationResult;
}

let world: World;

beforeAll(async () => {
  const study = readStudy(await readBytes(demo('study/study.yaml')), 'study.yaml');
  const model = buildMlp({
    features: featureCount(study),
    hidden: [16],
    outputs: 1,
    activation: 'tanh',
    seed: study.split.seed,
    inputName: study.model.input,
    outputName: study.model.output,
  });
  const sites = await Promise.all(SITES.map((site) => readSite(demo(`sites/${site}.yaml`))));
  const pooled = await openDataset(await readSite(demo('sites/pooled.yaml')), study);
  const federated = await runFederation({ study, model, sites, seed: 'gain' });
  world = { study, model, sites, pooled, federated };
}, 60_000);

describe('the demo study, trained without masks or network', () => {
  test('beats local-only models by .005 of mean AUC and is at most .010 below the pooled one', async () => {
    const { study, model, sites, pooled, federated } = world;
    const federatedAucs = federated.summaries
      .at(-1)!
      .map(({ startingModel }) => startingModel!.auc!);
    const localAucs: number[] = [];
    for (const site of sites) {
      const dataset = await openDataset(site, study);
      const request = { study, modelOnnx: model, dataset, seed: 'gain' };
      localAucs.push((await trainBaseline(request, { clock: systemClock })).auc!);
    }
    const together = await trainBaseline(
      { study, modelOnnx: model, dataset: pooled, seed: 'gain' },
      { clock: systemClock },
    );
    const pooledAucs = Object.values(together.perSource).map(({ auc }) => auc!);
    expect(mean(federatedAucs)).toBeGreaterThanOrEqual(mean(localAucs) + 0.005);
    expect(mean(federatedAucs)).toBeGreaterThanOrEqual(mean(pooledAucs) - 0.01);
  }, 60_000);

  test('standardises as the pooled rows would be, to within quantisation', () => {
    const exact = ownStandardisation(world.study, world.pooled);
    const { mean: means, scale } = world.federated.state.standardisation!;
    exact.mean.forEach((value, c) => expect(means[c]).toBeCloseTo(value, 3));
    exact.scale.forEach((value, c) => expect(scale[c]).toBeCloseTo(value, 3));
    expect(rowsOf(world.pooled, world.pooled.train)).toHaveLength(2152);
  });

  test('clips hardly any update', () => {
    const trained = world.federated.summaries.flat().flatMap(({ training }) => training ?? []);
    expect(trained).toHaveLength(150);
    expect(trained.filter(({ isClipped }) => isClipped).length).toBeLessThanOrEqual(7);
  });
});
