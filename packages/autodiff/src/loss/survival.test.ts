import { describe, expect, test } from '@jest/globals';
import type { LossOptions } from './loss.ts';
import { compare, lossAt, type Case, type Rows } from './probe.ts';

type CoxOptions = Extract<LossOptions, { kind: 'cox' }>;
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** Row by row, quadratic, with case weights as R's coxph has them. */
function definition({ ties = 'breslow' }: CoxOptions): Case['definition'] {
  return (x, y, w) => {
    const eta = x.map((row) => row[0]!);
    const [event, time, stratum] = [0, 1, 2].map((k) => y.map((row) => row[k] ?? 0));
    const same = (i: number, j: number) => stratum![i] === stratum![j] && w[j]! > 0;
    const losses = eta.map((own, i) => {
      if (event![i] !== 1 || w[i] === 0) return 0;
      const atRisk = eta.map((e, j) =>
        same(i, j) && time![j]! >= time![i]! ? w[j]! * Math.exp(e) : 0,
      );
      const tied = eta.map((_, j) => same(i, j) && time![j] === time![i] && event![j] === 1);
      const count = tied.filter(Boolean).length;
      const dying = total(eta.map((e, j) => (tied[j]! ? w[j]! * Math.exp(e) : 0)));
      const logs = Array.from({ length: count }, (_, k) =>
        Math.log(total(atRisk) - (ties === 'efron' ? (k / count) * dying : 0)),
      );
      return total(logs) / count - own;
    });
    return total(losses.map((loss, i) => loss * w[i]!)) / total(w);
  };
}

const outputs: Rows = [0.3, -1.2, 0.8, 2.1, -0.4, 0.05, 1.1, -2].map((x) => [Math.fround(x)]);
const LABELS: Rows = [
  [1, 5, 0],
  [1, 3, 0],
  [0, 5, 1],
  [1, 5, 1],
  [1, 5, 0],
  [1, 2, 1],
  [0, 9, 1],
  [1, 5, 1],
];
const WEIGHTS = [1, 2, 0.5, 1, 0.25, 1, 1.5, 0];

function caseOf(options: CoxOptions, labels = LABELS): Case {
  const columns = (options.strata ?? 1) > 1 ? 3 : 2;
  return {
    loss: options,
    dims: [labels.length, 1],
    labelDims: [labels.length, columns],
    labels: labels.map((row) => row.slice(0, columns)),
    definition: definition(options),
  };
}

describe.each<CoxOptions>([
  { kind: 'cox' },
  { kind: 'cox', ties: 'efron' },
  { kind: 'cox', strata: 2 },
  { kind: 'cox', strata: 2, ties: 'efron' },
])('the loss %j', (options) => {
  test.each([
    ['with weights', WEIGHTS],
    ['without', WEIGHTS.map(() => 1)],
  ])('%s and its gradient follow the definition', async (_, weights) => {
    const { lossError, gradientError } = await compare(caseOf(options), outputs, weights);
    expect(lossError).toBeLessThan(1e-6);
    expect(gradientError).toBeLessThan(1e-6);
  });

  test('weighs its row losses to the whole', async () => {
    const { loss, losses } = await lossAt(caseOf(options), outputs, WEIGHTS);
    const mean = total(losses.map((row, i) => row * WEIGHTS[i]!)) / total(WEIGHTS);
    expect(loss).toBeCloseTo(mean, 6);
  });

  test('is finite for log hazards as far apart as can be', async () => {
    const far = outputs.map((_, i) => [i % 2 === 0 ? 1e4 : -1e4]);
    const { loss, gradient } = await lossAt(caseOf(options), far, WEIGHTS);
    expect(Number.isFinite(loss)).toBe(true);
    expect(gradient.every(Number.isFinite)).toBe(true);
  });

  test('is 0 for one row, and for rows of which none counts', async () => {
    const single = await lossAt(caseOf(options, LABELS.slice(0, 1)), outputs.slice(0, 1), [1]);
    expect([single.loss, ...single.gradient]).toEqual([0, 0]);
    const none = await lossAt(
      caseOf(options),
      outputs,
      WEIGHTS.map(() => 0),
    );
    expect(none.loss).toBeCloseTo(0, 12);
    expect(none.gradient.every((slope) => slope === 0)).toBe(true);
  });
});

test.each([
  ['an event that is neither 0 nor 1', [[2, 1, 0]]],
  ['a time that is no number', [[1, NaN, 0]]],
  ['a stratum beyond the last', [[1, 1, 2]]],
])('labels with %s are refused', async (_, labels) => {
  await expect(
    lossAt(caseOf({ kind: 'cox', strata: 2 }, labels), [[0]], [1]),
  ).rejects.toMatchObject({
    code: 'TRAINING_DATA_INVALID',
  });
});
