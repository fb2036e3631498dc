import { expect, test } from '@jest/globals';
import { buildMlp } from '@medley/autodiff';
import { seededRng } from '@medley/kit';
import { featureCount, statisticsValues, STATISTICS_GRID, type Charter } from '@medley/study';
import { charterFor } from '../../../tests/support/federation.ts';
import { smallStudy } from '../../../tests/support/site.ts';
import { noisedCounts, noisedStatistics } from './noised.ts';

const plainStudy = smallStudy();
const MODEL = buildMlp({
  features: featureCount(plainStudy),
  hidden: [],
  outputs: 1,
  activation: 'tanh',
  seed: 'noised',
  inputName: 'features',
  outputName: 'logit',
});
const study = smallStudy(
  (yaml) =>
    `${yaml.replace('localEpochs: 2', 'localSteps: 1')}privacy: { level: record, epsilon: 2, delta: 1e-5, clipNorm: 1, samplingRate: 0.5 }\n`,
);
const charter: Charter = charterFor(study, MODEL, 5);
const terms = charter.privacy?.level === 'record' ? charter.privacy : undefined;
const rows = Array.from({ length: 30 }, (_, i) => Float64Array.of(20 + i, 1, 0, i / 10));
const clean = statisticsValues(study, charter, rows);

// 600 sums of two standardised columns each at a deviation of √5 multipliers, on a grid of 1/1024: the
// sample variance lies within five standard errors but for one seed in 1.7 million.
test('statistics have the charter’s noise on every number that is used, and none elsewhere', () => {
  const rng = seededRng('statistics');
  const deviation = terms!.noise.statistics * Math.sqrt(5);
  const squares: number[] = [];
  for (let draw = 0; draw < 300; draw++) {
    const { sum, squares: second, count } = noisedStatistics(study, charter, clean, rng);
    for (const [noised, exact] of [
      [sum!, clean['sum']!],
      [second!, clean['squares']!],
    ] as const) {
      noised.forEach((value, c) => {
        const steps = ((value - exact[c]!) * 5000) / STATISTICS_GRID;
        if (c === 1 || c === 2) expect(value).toBe(0);
        else squares.push((steps * STATISTICS_GRID) ** 2);
        expect(Math.abs(steps - Math.round(steps))).toBeLessThan(1e-6);
      });
    }
    squares.push((count![0]! - 30) ** 2);
  }
  const variance = squares.reduce((all, one) => all + one, 0) / squares.length;
  expect(squares).toHaveLength(1500);
  expect(Math.abs(variance / deviation ** 2 - 1)).toBeLessThan(5 * Math.sqrt(2 / 1500));
});

test('one patient moves the statistics by no more than the sensitivity they were calibrated to', () => {
  const extremes = [18, 100].flatMap((age) =>
    [0, Math.log1p(1000)].map((marker) => Float64Array.of(age, 1, 1, marker)),
  );
  for (const row of extremes) {
    const more = statisticsValues(study, charter, [...rows, row]);
    const moved = Object.keys(more).flatMap((name) =>
      Array.from(more[name]!, (value, i) => {
        const scale = name === 'count' ? 1 : 5000;
        return (value - clean[name]![i]!) * scale;
      }),
    );
    expect(Math.hypot(...moved)).toBeLessThanOrEqual(Math.sqrt(5) * (1 + 1e-9));
    expect(Math.hypot(...moved)).toBeGreaterThan(2);
  }
});

test('counts have whole noise of the charter’s deviation', () => {
  const rng = seededRng('counts');
  const values = { positives: new Float64Array(1000).fill(7), negatives: new Float64Array(1000) };
  const noised = noisedCounts(charter, values, rng);
  const noise = [...noised['positives']!.map((value) => value - 7), ...noised['negatives']!];
  expect(noise.every((value) => Number.isInteger(value))).toBe(true);
  const variance = noise.reduce((sum, one) => sum + one ** 2, 0) / noise.length;
  expect(Math.abs(variance / terms!.noise.evaluation ** 2 - 1)).toBeLessThan(
    5 * Math.sqrt(2 / 2000),
  );
});

test('a study without privacy keeps its exact figures', () => {
  const plain = charterFor(smallStudy(), MODEL, 5);
  expect(noisedStatistics(smallStudy(), plain, clean, seededRng('x'))).toBe(clean);
  expect(noisedCounts(plain, clean, seededRng('x'))).toBe(clean);
});
