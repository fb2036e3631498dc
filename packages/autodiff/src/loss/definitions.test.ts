import { describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import type { LossName, LossOptions } from './loss.ts';
import { compare, lossAt, type Case, type Definition, type Rows } from './probe.ts';

const WEIGHTS = [1, 0.5, 2, 0, 1.5];
const rng = seededRng('losses');
const draw = (from: number, to: number) => from + (to - from) * uniformReal(rng);
const grid = (rows: number, width: number, value: (i: number) => number): Rows =>
  Array.from({ length: rows }, () => Array.from({ length: width }, (_, i) => value(i)));
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const average = (values: readonly number[]) => total(values) / values.length;
const weighted = (rows: readonly number[], weights: readonly number[]) =>
  total(rows.map((row, i) => row * weights[i]!)) / total(weights);
const softplus = (x: number) => Math.log1p(Math.exp(x));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const logSoftmax = (x: readonly number[]) => {
  const log = Math.log(total(x.map(Math.exp)));
  return x.map((value) => value - log);
};

/** A loss of single elements, averaged over the row. */
const each =
  (loss: (x: number, y: number, i: number) => number, reduce = average): Definition =>
  (outputs, labels, weights) =>
    weighted(
      outputs.map((row, r) => reduce(row.map((x, i) => loss(x, labels[r]![i]!, i)))),
      weights,
    );

const regression = (
  loss: LossName | LossOptions,
  definition: (x: number, y: number, i: number) => number,
  options: Partial<Case> = {},
): Case => ({
  loss,
  dims: [5, 3],
  labelDims: [5, 3],
  labels: grid(5, 3, () => draw(-2, 2)),
  definition: each(definition),
  ...options,
});

const huber = (e: number, d: number) =>
  Math.abs(e) <= d ? (e * e) / 2 : d * (Math.abs(e) - d / 2);
const probabilities = grid(5, 3, () => draw(0.05, 0.95));
const counts = grid(5, 3, () => Math.floor(draw(0, 6)));
const bits = grid(5, 3, () => (uniformReal(rng) < 0.5 ? 1 : 0));
const stirling = (y: number) => (y > 1 ? y * Math.log(y) - y + Math.log(2 * Math.PI * y) / 2 : 0);
const focalBit = (x: number, y: number, gamma: number, alpha: number | undefined) => {
  const p = sigmoid(y === 1 ? x : -x);
  const a = alpha === undefined ? 1 : y === 1 ? alpha : 1 - alpha;
  return -a * (1 - p) ** gamma * Math.log(p);
};

const REGRESSION: readonly Case[] = [
  regression('mse', (x, y) => (x - y) ** 2),
  regression({ kind: 'mse', reduction: 'sum' }, (x, y) => (x - y) ** 2, {
    definition: (outputs, labels, weights) =>
      total(
        outputs.map((row, r) => weights[r]! * total(row.map((x, i) => (x - labels[r]![i]!) ** 2))),
      ),
  }),
  regression('l1', (x, y) => Math.abs(x - y)),
  regression('huber', (x, y) => huber(x - y, 1)),
  regression({ kind: 'huber', delta: 0.7 }, (x, y) => huber(x - y, 0.7)),
  regression('smooth_l1', (x, y) => huber(x - y, 1)),
  regression({ kind: 'smooth_l1', beta: 0.4 }, (x, y) => huber(x - y, 0.4) / 0.4),
  regression({ kind: 'smooth_l1', beta: 0 }, (x, y) => Math.abs(x - y)),
  regression({ kind: 'quantile', quantile: 0.8 }, (x, y) =>
    Math.max(0.8 * (y - x), -0.2 * (y - x)),
  ),
  regression({ kind: 'quantile', quantile: [0.1, 0.5, 0.9] }, (x, y, i) => {
    const q = [0.1, 0.5, 0.9][i]!;
    return Math.max(q * (y - x), (q - 1) * (y - x));
  }),
  regression('poisson_nll', (x, y) => Math.exp(x) - y * x, { labels: counts }),
  regression({ kind: 'poisson_nll', full: true }, (x, y) => Math.exp(x) - y * x + stirling(y), {
    labels: counts,
  }),
  regression(
    { kind: 'poisson_nll', logInput: false, epsilon: 1e-3 },
    (x, y) => x - y * Math.log(x + 1e-3),
    { labels: counts, from: 0.3, to: 3 },
  ),
  {
    loss: { kind: 'gaussian_nll', full: true },
    dims: [5, 4],
    labelDims: [5, 2],
    labels: grid(5, 2, () => draw(-1, 1)),
    from: 0.2,
    to: 2,
    definition: (outputs, labels, weights) =>
      weighted(
        outputs.map((row, r) =>
          average(
            labels[r]!.map((y, i) => {
              const [m, v] = [row[i]!, row[i + 2]!];
              return (Math.log(v) + (m - y) ** 2 / v + Math.log(2 * Math.PI)) / 2;
            }),
          ),
        ),
        weights,
      ),
  },
  {
    loss: { kind: 'gaussian_nll', logVariance: true },
    dims: [5, 4],
    labelDims: [5, 2],
    labels: grid(5, 2, () => draw(-1, 1)),
    definition: (outputs, labels, weights) =>
      weighted(
        outputs.map((row, r) =>
          average(
            labels[r]!.map((y, i) => {
              const [m, s] = [row[i]!, row[i + 2]!];
              return (s + (m - y) ** 2 / Math.exp(s)) / 2;
            }),
          ),
        ),
        weights,
      ),
  },
];

const BINARY: readonly Case[] = [
  regression('bce', (p, y) => -y * Math.log(p) - (1 - y) * Math.log(1 - p), {
    labels: probabilities,
    from: 0.05,
    to: 0.95,
  }),
  regression('bce_with_logits', (x, y) => softplus(x) - x * y, { labels: bits }),
  regression(
    { kind: 'bce_with_logits', positiveWeight: [1, 3, 0.5] },
    (x, y, i) => [1, 3, 0.5][i]! * y * softplus(-x) + (1 - y) * softplus(x),
    { labels: probabilities },
  ),
  regression(
    { kind: 'bce_with_logits', positiveWeight: 2 },
    (x, y) => 2 * y * softplus(-x) + (1 - y) * softplus(x),
    { labels: bits },
  ),
  regression('binary_focal', (x, y) => focalBit(x, y, 2, undefined), { labels: bits }),
  regression(
    { kind: 'binary_focal', gamma: 0.5, alpha: 0.25 },
    (x, y) => focalBit(x, y, 0.5, 0.25),
    { labels: bits },
  ),
];

/** Logarithms of probabilities of a row by place, for classes on the last axis or on axis 1. */
const placed = (row: readonly number[], classes: number, axis: -1 | 1) => {
  const count = row.length / classes;
  return Array.from({ length: count }, (_, p) =>
    Array.from({ length: classes }, (__, c) =>
      axis === -1 ? row[p * classes + c]! : row[c * count + p]!,
    ),
  );
};

type Settings = Extract<LossOptions, { kind: 'cross_entropy' }>;
const crossEntropy =
  (classes: number, settings: Partial<Settings>, isLog = false): Definition =>
  (outputs, labels, weights) => {
    const w = settings.classWeights ?? Array.from({ length: classes }, () => 1);
    const smoothing = settings.labelSmoothing ?? 0;
    let [above, below] = [0, 0];
    outputs.forEach((row, r) => {
      placed(row, classes, settings.classAxis ?? -1).forEach((x, p) => {
        const logs = isLog ? x : logSoftmax(x);
        const label = labels[r]![p]!;
        if (label === (settings.ignoreIndex ?? -100)) return;
        const even = -total(logs.map((log, c) => w[c]! * log)) / classes;
        const own = -w[label]! * logs[label]!;
        above += weights[r]! * ((1 - smoothing) * own + smoothing * even);
        below += weights[r]! * w[label]!;
      });
    });
    return above / below;
  };

const indexed = (
  loss: LossName | LossOptions,
  definition: Definition,
  options: Partial<Case> = {},
): Case => ({
  loss,
  dims: [5, 4],
  labelDims: [5],
  labels: [[0], [3], [1], [2], [3]],
  isIndexed: true,
  definition,
  ...options,
});

const classWeights = [0.5, 2, 1, 1.5];
const image: Partial<Case> = {
  dims: [5, 4, 2, 3],
  labelDims: [5, 2, 3],
  labels: grid(5, 6, () => (uniformReal(rng) < 0.2 ? -100 : Math.floor(draw(0, 4)))),
};
const soft = grid(5, 4, () => draw(0.1, 0.4));

const CLASSES: readonly Case[] = [
  indexed('cross_entropy', crossEntropy(4, {})),
  indexed({ kind: 'cross_entropy', classWeights }, crossEntropy(4, { classWeights })),
  indexed(
    { kind: 'cross_entropy', classWeights, labelSmoothing: 0.2, ignoreIndex: 2 },
    crossEntropy(4, { classWeights, labelSmoothing: 0.2, ignoreIndex: 2 }),
  ),
  indexed(
    { kind: 'cross_entropy', classAxis: 1, classWeights },
    crossEntropy(4, { classAxis: 1, classWeights }),
    image,
  ),
  indexed({ kind: 'cross_entropy', classAxis: -1 }, crossEntropy(4, {}), {
    ...image,
    dims: [5, 2, 3, 4],
  }),
  indexed({ kind: 'nll', classWeights }, crossEntropy(4, { classWeights }, true)),
  indexed(
    { kind: 'cross_entropy', softTargets: true, classWeights, labelSmoothing: 0.1 },
    (outputs, labels, weights) =>
      weighted(
        outputs.map((row, r) => {
          const logs = logSoftmax(row);
          return -total(
            logs.map((log, c) => classWeights[c]! * (0.9 * labels[r]![c]! + 0.025) * log),
          );
        }),
        weights,
      ),
    { isIndexed: false, labelDims: [5, 4], labels: soft },
  ),
  indexed(
    { kind: 'focal', gamma: 1.5, classWeights, ignoreIndex: 1 },
    (outputs, labels, weights) => {
      let [above, below] = [0, 0];
      outputs.forEach((row, r) => {
        const label = labels[r]![0]!;
        if (label === 1) return;
        const log = logSoftmax(row)[label]!;
        above -= weights[r]! * classWeights[label]! * (1 - Math.exp(log)) ** 1.5 * log;
        below += weights[r]!;
      });
      return above / below;
    },
  ),
];

const PAIRS: readonly Case[] = [
  regression('kl_div', (x, y) => y * (Math.log(y) - x), { labels: probabilities }),
  regression({ kind: 'kl_div', reduction: 'batchmean' }, (x, y) => y * (Math.log(y) - x), {
    labels: probabilities,
    definition: each((x, y) => y * (Math.log(y) - x), total),
  }),
  regression({ kind: 'kl_div', logTarget: true }, (x, y) => Math.exp(y) * (y - x)),
  {
    loss: { kind: 'cosine_embedding', margin: 0.1 },
    dims: [5, 2, 3],
    labelDims: [5],
    labels: [[1], [-1], [-1], [1], [-1]],
    definition: (outputs, labels, weights) =>
      weighted(
        outputs.map((row, r) => {
          const [u, v] = [row.slice(0, 3), row.slice(3)];
          const dot = (x: readonly number[], y: readonly number[]) =>
            total(x.map((value, i) => value * y[i]!));
          const cosine = dot(u, v) / Math.sqrt((dot(u, u) + 1e-12) * (dot(v, v) + 1e-12));
          return labels[r]![0] === 1 ? 1 - cosine : Math.max(0, cosine - 0.1);
        }),
        weights,
      ),
  },
];

describe.each([...REGRESSION, ...BINARY, ...CLASSES, ...PAIRS])(
  'the loss $loss of an output $dims',
  (c) => {
    const { from = -2, to = 2 } = c;
    const width = c.dims.slice(1).reduce((product, dim) => product * dim, 1);
    const outputs = grid(5, width, () => Math.fround(draw(from, to)));

    test('is what its definition says, with the gradient of finite differences', async () => {
      const { lossError, gradientError } = await compare(c, outputs, WEIGHTS);
      expect(lossError).toBeLessThan(2e-6);
      expect(gradientError).toBeLessThan(3e-6);
    });

    test('of each row is that of a batch of this row alone', async () => {
      const { losses } = await lossAt(c, outputs, WEIGHTS);
      losses.forEach((loss, r) => {
        const only = WEIGHTS.map((_, i) => (i === r ? 1 : 0));
        const alone = c.definition(outputs, c.labels, only);
        expect(loss).toBeCloseTo(Number.isNaN(alone) ? 0 : alone, 4);
      });
    });
  },
);
