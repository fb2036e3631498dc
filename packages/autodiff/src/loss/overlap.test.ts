import { describe, expect, test } from '@jest/globals';
import { seededRng, uniformReal } from '@medley/kit';
import type { LossOptions } from './loss.ts';
import { compare, lossAt, type Case, type Rows } from './probe.ts';

const CLASSES = 3;
const PLACES = 4;
const WEIGHTS = [1, 0.5, 2, 0];
const rng = seededRng('overlap');
const draw = (): number => uniformReal(rng);
const outputs: Rows = WEIGHTS.map(() =>
  Array.from({ length: CLASSES * PLACES }, () => Math.fround(4 * draw() - 2)),
);
const bits: Rows = WEIGHTS.map(() =>
  Array.from({ length: CLASSES * PLACES }, () => (draw() < 0.4 ? 1 : 0)),
);
const indices: Rows = WEIGHTS.map(() =>
  Array.from({ length: PLACES }, () => Math.floor(draw() * CLASSES)),
);
const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

type Kind = 'dice' | 'tversky' | 'dice_bce' | 'dice_ce';
type Options = Extract<LossOptions, { kind: Kind }>;

/** Probability and truth of row, class and place, classes on axis 1 or last. */
function tables(options: Options, x: Rows, y: Rows) {
  const isSoftmax =
    options.kind === 'dice_ce' || ('activation' in options && options.activation === 'softmax');
  const at = (c: number, p: number): number =>
    (options.classAxis ?? 1) === 1 ? c * PLACES + p : p * CLASSES + c;
  return x.map((row, r) =>
    Array.from({ length: CLASSES }, (_, c) =>
      Array.from({ length: PLACES }, (__, p) => {
        if (!isSoftmax) return { p: sigmoid(row[at(c, p)]!), t: y[r]![at(c, p)]! };
        const all = Array.from({ length: CLASSES }, (___, k) => Math.exp(row[at(k, p)]!));
        return { p: all[c]! / total(all), t: y[r]![p] === c ? 1 : 0 };
      }),
    ),
  );
}

/** One loss from the weighted cells of each class. */
function overlapOf(
  options: Options,
  classes: readonly { p: number; t: number; w: number }[][],
): number {
  const { smooth = 1 } = options;
  const isSquared = 'squared' in options && options.squared;
  const sums = classes.map((cells) => ({
    both: total(cells.map(({ p, t, w }) => w * p * t)),
    p: total(cells.map(({ p, w }) => w * (isSquared ? p * p : p))),
    t: total(cells.map(({ t, w }) => w * t)),
  }));
  const index = (s: { both: number; p: number; t: number }): number => {
    if (options.kind !== 'tversky') return (2 * s.both + smooth) / (s.p + s.t + smooth);
    const { alpha = 0.5, beta = 0.5 } = options;
    return (s.both + smooth) / (s.both + alpha * (s.p - s.both) + beta * (s.t - s.both) + smooth);
  };
  const add = (all: typeof sums, factor: (s: (typeof sums)[number]) => number) => ({
    both: total(all.map((s) => factor(s) * s.both)),
    p: total(all.map((s) => factor(s) * s.p)),
    t: total(all.map((s) => factor(s) * s.t)),
  });
  if ('generalised' in options && options.generalised)
    return 1 - index(add(sums, (s) => 1 / Math.max(s.t, 1) ** 2));
  if (options.perClass === true) return 1 - total(sums.map(index)) / sums.length;
  return 1 - index(add(sums, () => 1));
}

function definition(options: Options): Case['definition'] {
  return (x, y, weights) => {
    const rows = tables(options, x, y).map((row) =>
      options.skipsBackground === true ? row.slice(1) : row,
    );
    if (options.over === 'batch') {
      const classes = rows[0]!.map((_, c) =>
        rows.flatMap((row, r) => row[c]!.map((cell) => ({ ...cell, w: weights[r]! }))),
      );
      return overlapOf(options, classes);
    }
    const losses = rows.map((row) =>
      overlapOf(
        options,
        row.map((cells) => cells.map((cell) => ({ ...cell, w: 1 }))),
      ),
    );
    return total(losses.map((loss, r) => loss * weights[r]!)) / total(weights);
  };
}

function entropy(options: Options): Case['definition'] {
  return (x, y, weights) => {
    const rows = tables(options, x, y).map((row) => {
      const cells = row.flat();
      return options.kind === 'dice_ce'
        ? -total(cells.map(({ p, t }) => t * Math.log(p))) / PLACES
        : -total(cells.map(({ p, t }) => t * Math.log(p) + (1 - t) * Math.log(1 - p))) /
            cells.length;
    });
    return total(rows.map((loss, r) => loss * weights[r]!)) / total(weights);
  };
}

function caseOf(options: Options): Case {
  const isIndexed =
    options.kind === 'dice_ce' || ('activation' in options && options.activation === 'softmax');
  const last = options.classAxis === -1;
  const dims = last ? [4, 2, 2, CLASSES] : [4, CLASSES, 2, 2];
  const overlap = definition(options);
  const both: Case['definition'] = (x, y, w) =>
    ('diceWeight' in options ? (options.diceWeight ?? 1) : 1) * overlap(x, y, w) +
    ('entropyWeight' in options ? (options.entropyWeight ?? 1) : 1) * entropy(options)(x, y, w);
  return {
    loss: options,
    dims,
    labelDims: isIndexed ? [4, 2, 2] : dims,
    labels: isIndexed ? indices : bits,
    isIndexed,
    definition: options.kind.startsWith('dice_') ? both : overlap,
  };
}

const CASES: readonly Options[] = [
  { kind: 'dice' },
  { kind: 'dice', smooth: 0.1, squared: true },
  { kind: 'dice', over: 'batch' },
  { kind: 'dice', perClass: true, skipsBackground: true },
  { kind: 'dice', perClass: true, over: 'batch', activation: 'softmax' },
  { kind: 'dice', generalised: true, activation: 'softmax' },
  { kind: 'dice', generalised: true, over: 'batch', classAxis: -1, activation: 'softmax' },
  { kind: 'tversky', alpha: 0.3, beta: 0.7 },
  { kind: 'tversky', perClass: true, activation: 'softmax' },
  { kind: 'dice_bce' },
  { kind: 'dice_bce', diceWeight: 0.3, entropyWeight: 2 },
  { kind: 'dice_ce', perClass: true },
];

test.each(CASES)('the loss %j and its gradient follow the definition', async (options) => {
  const { lossError, gradientError } = await compare(caseOf(options), outputs, WEIGHTS);
  expect(lossError).toBeLessThan(2e-6);
  expect(gradientError).toBeLessThan(2e-6);
});

describe('the Dice loss', () => {
  test('is 0 for sure and right answers, and finite for sure and wrong ones', async () => {
    const c = caseOf({ kind: 'dice_bce' });
    const sure = c.labels.map((row) => row.map((bit) => (bit === 1 ? 1e4 : -1e4)));
    const right = await lossAt(c, sure, WEIGHTS);
    expect(right.loss).toBeCloseTo(0, 6);
    const wrong = await lossAt(
      c,
      sure.map((row) => row.map((x) => -x)),
      WEIGHTS,
    );
    expect(wrong.loss).toBeGreaterThan(1);
    expect(wrong.gradient.every(Number.isFinite)).toBe(true);
  });

  test('without smoothing is 1 where nothing is there and nothing predicted', async () => {
    const c = {
      ...caseOf({ kind: 'dice', smooth: 0 }),
      labels: bits.map((row) => row.map(() => 0)),
    };
    const { loss, gradient } = await lossAt(
      c,
      outputs.map((row) => row.map(() => -1e4)),
      WEIGHTS,
    );
    expect(loss).toBe(1);
    expect(gradient.every((slope) => slope === 0)).toBe(true);
  });
});
