import { buildTraining, initialParameters, Trainer } from '@medley/autodiff';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { seededRng, systemClock, type Rng } from '@medley/kit';
import { encodeModelState, layoutFor, type RecordTerms } from '@medley/study';
import { learnableRows, makeHands, type Hands } from '../../../tests/support/hands.ts';
import { makeSite, PLAIN_COLUMNS, smallStudy } from '../../../tests/support/site.ts';
import { firstRows, openDataset, rowsByPatient } from '../connectors/dataset.ts';
import { InThreadWork } from './local.ts';
import { examplesOf } from './localRound.ts';
import { descendPrivately, rowsOfLots } from './privateDescent.ts';

const PRIVACY =
  'privacy: { level: record, noiseMultiplier: 1, delta: 1e-5, clipNorm: 0.5, samplingRate: 1 }\n';

let hands: Hands;
beforeEach(async () => {
  hands = await makeHands(
    (yaml) =>
      yaml
        .replace('localEpochs: 2', 'localSteps: 1\n  standardise: false')
        .replace('{ kind: fedavg }', '{ kind: fedavg }\nevaluation: { scoreBins: 10 }') + PRIVACY,
  );
});
afterEach(() => hands.remove());

/** One step of plain descent at rate 1: what comes out is minus the noised sum over the lot size. */
async function noisedSums(change: {
  readonly terms?: Partial<RecordTerms>;
  readonly patients?: readonly (readonly number[])[];
  readonly scale?: number;
  readonly draws?: number;
}): Promise<Float64Array[]> {
  const { study, charter, model, site } = hands;
  if (charter.privacy?.level !== 'record') throw new Error('level');
  const terms = { ...charter.privacy, ...change.terms };
  const dataset = await openDataset(site, study);
  const { inputs, labels } = examplesOf(dataset, dataset.train, null);
  const trainer = await Trainer.open(
    buildTraining(model, {
      loss: 'bce_with_logits',
      optimizer: { kind: 'sgd' },
      output: 'logit',
      privacy: { clip: terms.clipNorm, lotSize: terms.lotSize },
    }),
  );
  const start = initialParameters(model);
  const examples = { inputs: inputs.map((x) => x * (change.scale ?? 1)), labels };
  const patients = change.patients ?? Array.from(labels.keys(), (row) => [row]);
  const rng = seededRng('noise');
  const sums: Float64Array[] = [];
  for (let draw = 0; draw < (change.draws ?? 1); draw++) {
    const { parameters } = await descendPrivately(
      {
        trainer,
        plan: { ...study.training, learningRate: 1 },
        terms,
        start,
        examples,
        patients,
        rng,
      },
      { clock: systemClock },
    );
    sums.push(Float64Array.from(parameters, (value, i) => (start[i]! - value) * terms.lotSize));
  }
  await trainer.close();
  return sums;
}

const QUIET = { noise: { training: 1e-9, statistics: 0, evaluation: 1 } };
const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

describe('a private training round', () => {
  // What no patient may pass: inputs of up to 10^4 make every gradient far longer than the clip norm.
  test('lets one patient move the sum by at most the clip norm, however many rows and however long', async () => {
    let longest = 0;
    for (const rows of [[3], [4], [3, 4], [3, 4, 5, 6, 7, 8, 9]]) {
      for (const scale of [1e-3, 0.1, 1e4]) {
        const [sum] = await noisedSums({ terms: QUIET, patients: [rows], scale });
        expect(norm(sum!)).toBeLessThanOrEqual(0.5 * (1 + 1e-5));
        longest = Math.max(longest, norm(sum!));
      }
    }
    expect(longest).toBeGreaterThan(0.499);
  });

  test('divides by the charter’s lot size, not by how many patients there are', async () => {
    const [one] = await noisedSums({ terms: { ...QUIET, lotSize: 4 } });
    const [other] = await noisedSums({ terms: { ...QUIET, lotSize: 400 } });
    one!.forEach((value, i) => expect(other![i]).toBeCloseTo(value, 3));
  });

  // 5 numbers × 400 draws at σ = 3 · 0.5: the sample variance of 2,000 normals lies within five
  // standard errors (0.158 of σ²) but for one seed in 1.7 million. σ ≠ 1, so that a variance taken for
  // a deviation, or a forgotten clip norm, is far outside.
  test('has noise of the multiplier times the clip norm on every number', async () => {
    const [clean] = await noisedSums({ terms: QUIET });
    const noise = { noise: { training: 3, statistics: 0, evaluation: 1 } };
    const sums = await noisedSums({ terms: noise, draws: 400 });
    const squares = sums.flatMap((sum) => Array.from(sum, (value, i) => (value - clean![i]!) ** 2));
    const variance = squares.reduce((sum, one) => sum + one, 0) / squares.length;
    expect(squares).toHaveLength(2000);
    expect(Math.abs(variance / 2.25 - 1)).toBeLessThan(5 * Math.sqrt(2 / 2000));
  });

  test('draws each patient with the charter’s probability, in every step anew', async () => {
    const whole = (await noisedSums({ terms: QUIET, scale: 0.1 }))[0]!;
    const terms = { ...QUIET, samplingRate: 0.2 };
    const some = await noisedSums({ terms, scale: 0.1, draws: 100 });
    expect(new Set(some.map((sum) => norm(sum).toFixed(4))).size).toBeGreaterThan(80);
    // Each of 20 patients adds at most 0.5, so that the mean of 100 draws has a deviation below
    // 0.5·√(20 · 0.2 · 0.8 / 100) = 0.09: five of them are a false alarm of one seed in two million.
    whole.forEach((value, i) => {
      const mean = some.reduce((sum, one) => sum + one[i]!, 0) / some.length;
      expect(Math.abs(mean - 0.2 * value)).toBeLessThan(0.45);
    });
  });

  test('takes one row of each patient that was drawn, every row as often as the others', () => {
    const patients = [[0], [1, 2, 3], [4, 5]];
    const lots = {
      order: Int32Array.from({ length: 6000 }, (_, i) => i % 3),
      sampleWeights: new Float32Array(6000).fill(1),
      batchSize: 6000,
    };
    const { order, sampleWeights } = rowsOfLots(lots, patients, seededRng('rows'));
    expect(sampleWeights).toEqual(lots.sampleWeights);
    order.forEach((row, place) => expect(patients[place % 3]).toContain(row));
    // 2,000 draws each: five deviations of a binomial are a false alarm of one seed in a million.
    for (const [row, share] of [1, 1 / 3, 1 / 3, 1 / 3, 1 / 2, 1 / 2].entries()) {
      const count = order.filter((one) => one === row).length;
      expect(Math.abs(count - 2000 * share)).toBeLessThan(
        5 * Math.sqrt(2000 * share * (1 - share)) + 1e-9,
      );
    }
  });
});

describe('patients of many rows', () => {
  test('fall on one side of the split whole, in all sources, and count once', async () => {
    const study = smallStudy(
      (yaml) =>
        yaml.replace('localEpochs: 2', 'localSteps: 1') +
        PRIVACY.replace('clipNorm', 'patientColumn: pid, clipNorm'),
    );
    const lines = learnableRows().trim().split('\n');
    const rows = (shift: number): string =>
      lines.map((line, i) => `${line},${i === 0 ? 'pid' : `p${(i + shift) % 25}`}`).join('\n');
    const columns = { ...PLAIN_COLUMNS, pid: { from: 'pid' } };
    const connector = (id: string): object => ({ id, kind: 'csv', file: `${id}.csv`, columns });
    const files = { 'a.csv': rows(0), 'b.csv': rows(7) };
    const made = await makeSite(files, [connector('a'), connector('b')]);
    try {
      const dataset = await openDataset(made.site, study);
      expect(dataset.rows).toBe(80);
      const of = (indices: Int32Array): Set<number> =>
        new Set(Array.from(indices, (row) => dataset.patients[row]!));
      const [train, test] = [of(dataset.train), of(dataset.test)];
      expect(train.size + test.size).toBe(25);
      expect([...train].filter((patient) => test.has(patient))).toEqual([]);
      expect(firstRows(dataset, dataset.train)).toHaveLength(train.size);
      expect(rowsByPatient(dataset, dataset.train).flat()).toHaveLength(dataset.train.length);
    } finally {
      await made.remove();
    }
  });
});

describe('the rounds of a private study at a site', () => {
  const task = async (kind: 'statistics' | 'training' | 'evaluation', rng: Rng) => {
    const work = new InThreadWork(systemClock, rng);
    try {
      const parameters = initialParameters(hands.model);
      const state = encodeModelState({ parameters, standardisation: null });
      return await work.perform(hands.task(kind, state));
    } finally {
      await work.close();
    }
  };

  test('fill the slots that have noise and no others, and say one weight for all', async () => {
    const { values } = await task('training', seededRng('a'));
    expect(Object.keys(values)).toEqual(['update', 'weight']);
    expect(values['weight']).toEqual(Float64Array.of(5000));
    const evaluated = await task('evaluation', seededRng('a'));
    const names = layoutFor(hands.study, hands.charter, 'evaluation').map(({ name }) => name);
    expect(Object.keys(evaluated.values)).toEqual(names);
  });

  test('give other numbers under another generator, and keep exact figures to the site', async () => {
    const one = await task('evaluation', seededRng('a'));
    const other = await task('evaluation', seededRng('b'));
    expect(one.values['positives']).not.toEqual(other.values['positives']);
    expect(one.summary.startingModel).toEqual(other.summary.startingModel);
  });
});
