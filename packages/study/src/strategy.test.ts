import { describe, expect, test } from '@jest/globals';
import { isMedleyError, seededRng, uniformInt, uniformReal, type Rng } from '@medley/kit';
import { addInto, encodeVector, layoutLength } from '@medley/secagg';
import fc from 'fast-check';
import { auc, brier } from './auc.ts';
import { evaluationValues } from './evaluation.ts';
import { meanLoss, probabilityOf } from './loss.ts';
import { encodeModelState, modelStateHash, type ModelState } from './modelState.ts';
import { LOSS_CAP, layoutFor, type RoundKind, type SlotValues } from './plan.ts';
import { recurrence, recurrenceCharter } from './recurrence.ts';
import { nextState } from './strategy.ts';
import { statisticsValues } from './statistics.ts';
import { normL2, trainingValues, type LocalTraining } from './training.ts';

const { study } = recurrence();
const charter = recurrenceCharter();
const { weightCap } = charter.secureAggregation;
const start: ModelState = {
  parameters: Float32Array.of(0.1, -0.2, 0.3, 0, 1, -1, 2),
  standardisation: null,
};

/** What secure aggregation opens: the ring sum of every silo's encoded vector. */
function ringSum(kind: RoundKind, silos: readonly SlotValues[], rng: Rng): Uint32Array {
  const layout = layoutFor(study, charter, kind);
  const sum = new Uint32Array(layoutLength(layout));
  for (const values of silos) addInto(sum, encodeVector(layout, values, rng));
  return sum;
}

function scored(rng: Rng, n: number): { logits: Float64Array; labels: Uint8Array } {
  const logits = Float64Array.from({ length: n }, () => 8 * uniformReal(rng) - 4);
  const labels = Uint8Array.from(logits, (x) => (uniformReal(rng) < probabilityOf(x) ? 1 : 0));
  return { logits, labels };
}

function local(rng: Rng, change: Partial<LocalTraining> = {}): LocalTraining {
  return {
    delta: Float32Array.from({ length: 7 }, () => uniformReal(rng) - 0.5),
    weight: 20 + uniformInt(rng, 400),
    trainLoss: uniformReal(rng),
    test: scored(rng, 60),
    ...change,
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}

const seeds = fc.string({ minLength: 1 });

describe('statistics round', () => {
  const rows = (rng: Rng, n: number) =>
    Array.from({ length: n }, () =>
      Float64Array.of(
        18 + 82 * uniformReal(rng),
        uniformInt(rng, 2),
        uniformInt(rng, 2),
        0,
        Math.log1p(uniformInt(rng, 61)),
      ),
    );

  test('gives mean and deviation of the pooled rows within the quantiser’s bounds', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const rng = seededRng(seed);
        const silos = Array.from({ length: 5 }, () => rows(rng, 20 + uniformInt(rng, 200)));
        const sum = ringSum(
          'statistics',
          silos.map((silo) => statisticsValues(study, charter, silo)),
          rng,
        );
        const { state, metrics } = nextState({
          study,
          charter,
          kind: 'statistics',
          state: start,
          sum,
        });
        const pooled = silos.flat();
        expect(metrics).toMatchObject({ count: pooled.length });
        const { mean, scale } = state.standardisation!;
        for (const [c, half] of [
          [0, 41],
          [4, Math.log1p(60) / 2],
        ] as const) {
          const exact = pooled.reduce((s, row) => s + row[c]!, 0) / pooled.length;
          const variance = pooled.reduce((s, row) => s + (row[c]! - exact) ** 2, 0) / pooled.length;
          // Five stochastic roundings of at most one step of 2^−28, scaled by weightCap over count.
          const rounding = (5 * 2 ** -28 * weightCap) / pooled.length;
          expect(Math.abs(mean[c]! - exact)).toBeLessThanOrEqual(half * rounding * 1.01);
          const error = Math.abs((scale[c]! ** 2 - variance) / half ** 2);
          expect(error).toBeLessThanOrEqual(4 * rounding);
        }
        // Indicators are left alone, whatever their mean.
        expect([mean[1], scale[1], mean[3], scale[3]]).toEqual([0, 1, 0, 1]);
      }),
      { numRuns: 30 },
    );
  });

  test('leaves a constant column unscaled instead of blowing rounding up', () => {
    const rng = seededRng('constant');
    const silo = Array.from({ length: 30 }, () => Float64Array.of(63.7, 0, 0, 0, 1));
    const sum = ringSum(
      'statistics',
      Array.from({ length: 4 }, () => statisticsValues(study, charter, silo)),
      rng,
    );
    const { state } = nextState({ study, charter, kind: 'statistics', state: start, sum });
    expect(Array.from(state.standardisation!.scale)).toEqual([1, 1, 1, 1, 1]);
    expect(state.standardisation!.mean[0]).toBeCloseTo(63.7, 3);
  });

  test('refuses too few rows, too many, and rows of another width', () => {
    const row = Float64Array.of(50, 0, 0, 0, 1);
    const many = (n: number, one = row) => Array.from({ length: n }, () => one);
    expect(codeOf(() => statisticsValues(study, charter, many(19)))).toBe('DATA_TOO_FEW_ROWS');
    expect(codeOf(() => statisticsValues(study, charter, many(5001)))).toBe(
      'STUDY_WEIGHT_TOO_LARGE',
    );
    const broken = [...many(20), Float64Array.of(1)];
    expect(codeOf(() => statisticsValues(study, charter, broken))).toBe('STUDY_VALUES_INVALID');
    const nan = [...many(20), Float64Array.of(NaN, 0, 0, 0, 1)];
    expect(codeOf(() => statisticsValues(study, charter, nan))).toBe('STUDY_VALUES_INVALID');
  });
});

describe('training round', () => {
  test('moves the model by the weighted mean of the updates (FedAvg)', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const rng = seededRng(seed);
        const silos = Array.from({ length: 5 }, () => local(rng));
        const sum = ringSum(
          'training',
          silos.map((s) => trainingValues(study, charter, s)),
          rng,
        );
        const { state, metrics } = nextState({
          study,
          charter,
          kind: 'training',
          state: start,
          sum,
        });
        const weight = silos.reduce((s, { weight: w }) => s + w, 0);
        const step = 0.5 / (2 ** 21 - 1);
        state.parameters.forEach((parameter, i) => {
          const mean = silos.reduce((s, { delta, weight: w }) => s + delta[i]! * w, 0) / weight;
          const bound = (5 * step * weightCap) / weight + 2 ** -22;
          expect(Math.abs(parameter - (start.parameters[i]! + mean))).toBeLessThanOrEqual(bound);
        });
        const loss = silos.reduce((s, { trainLoss, weight: w }) => s + trainLoss * w, 0) / weight;
        expect(metrics).toMatchObject({
          kind: 'training',
          weight,
          trainLoss: expect.closeTo(loss, 2),
        });
      }),
      { numRuns: 30 },
    );
  });

  test('gives every machine the same bits, whatever the order of the silos', () => {
    const rng = seededRng('order');
    const encoded = Array.from({ length: 5 }, () =>
      encodeVector(
        layoutFor(study, charter, 'training'),
        trainingValues(study, charter, local(rng)),
        rng,
      ),
    );
    const hashes = [encoded, [...encoded].reverse()].map((vectors) => {
      const sum = new Uint32Array(vectors[0]!.length);
      for (const vector of vectors) addInto(sum, vector);
      const { state } = nextState({ study, charter, kind: 'training', state: start, sum });
      return modelStateHash(encodeModelState(state));
    });
    expect(hashes[0]).toBe(hashes[1]);
    // Pinned: a change here forks every running study.
    expect(hashes[0]).toBe('3f7160daf4ede8a77d8af13c3f3cd24d07b68516bc50d82462eb5b0593f85a98');
  });

  test('evaluates the starting model as if all test rows lay in one place', () => {
    const rng = seededRng('evaluation');
    const silos = Array.from({ length: 4 }, () => scored(rng, 100));
    const sum = ringSum(
      'evaluation',
      silos.map((s) => evaluationValues(study, charter, s)),
      rng,
    );
    const { state, metrics } = nextState({ study, charter, kind: 'evaluation', state: start, sum });
    expect(state).toBe(start);
    const logits = silos.flatMap((silo) => Array.from(silo.logits));
    const labels = silos.flatMap((silo) => Array.from(silo.labels));
    const { evaluation } = metrics as {
      evaluation: { count: number; auc: number; loss: number; brier: number };
    };
    expect(evaluation.count).toBe(400);
    expect(Math.abs(evaluation.auc - auc(logits, labels)!)).toBeLessThan(0.01);
    expect(evaluation.loss).toBeCloseTo(meanLoss(logits, labels)!, 4);
    expect(evaluation.brier).toBeCloseTo(brier(logits.map(probabilityOf), labels)!, 4);
  });

  test.each<[string, Partial<LocalTraining>, string]>([
    ['NaN in an update', { delta: Float32Array.of(NaN, 0, 0, 0, 0, 0, 0) }, 'STUDY_VALUES_INVALID'],
    [
      'an update that is not clipped',
      { delta: Float32Array.of(0.6, 0, 0, 0, 0, 0, 0) },
      'STUDY_VALUES_INVALID',
    ],
    ['an update of another model', { delta: Float32Array.of(0.1) }, 'STUDY_VALUES_INVALID'],
    ['a loss that is NaN', { trainLoss: NaN }, 'STUDY_VALUES_INVALID'],
    ['too few rows', { weight: 19 }, 'DATA_TOO_FEW_ROWS'],
    ['too many rows', { weight: 5001 }, 'STUDY_WEIGHT_TOO_LARGE'],
    ['NaN among the logits', { test: { logits: [NaN], labels: [1] } }, 'STUDY_VALUES_INVALID'],
    ['another label', { test: { logits: [0], labels: [2] } }, 'STUDY_VALUES_INVALID'],
    ['labels without logits', { test: { logits: [], labels: [1] } }, 'STUDY_VALUES_INVALID'],
  ])('refuses %s before anything is masked', (_, change, code) => {
    const training = local(seededRng('refuse'), change);
    expect(codeOf(() => trainingValues(study, charter, training))).toBe(code);
  });

  test('caps a diverged row’s loss and takes infinite logits', () => {
    const test = { logits: [-Infinity, 1e9, Infinity], labels: [1, 0, 1] };
    const { testLoss } = evaluationValues(study, charter, test);
    expect(testLoss![0]).toBeCloseTo(2 / weightCap, 12);
    const { trainLoss } = trainingValues(study, charter, local(seededRng('x'), { trainLoss: 1e9 }));
    expect(trainLoss![0]).toBeLessThanOrEqual(1);
    expect(LOSS_CAP).toBe(20);
  });
});

describe('a sum that honest silos cannot have made', () => {
  const rng = seededRng('hostile');
  const layout = layoutFor(study, charter, 'training');
  const sum = ringSum(
    'training',
    [1, 2, 3, 4].map(() => trainingValues(study, charter, local(rng))),
    rng,
  );
  const offsetOf = (name: string) => {
    const at = layout.findIndex((slot) => slot.name === name);
    return layoutLength(layout.slice(0, at));
  };

  test.each<[string, string, number]>([
    ['no weight', 'weight', 0],
    ['a negative weight', 'weight', 2 ** 32 - 5],
    ['more weight than five caps', 'weight', 25_001],
    ['more test rows than the histograms hold', 'testCount', 9999],
    ['a negative bin', 'positives', 2 ** 32 - 1],
    ['a loss beyond its cap', 'testLoss', 2 ** 30],
    ['a negative training loss', 'trainLoss', 2 ** 31],
    ['an update beyond the clipping norm', 'update', 2 ** 30],
  ])('is refused: %s', (_, slot, word) => {
    const hostile = sum.slice();
    hostile[offsetOf(slot)] = word;
    const run = () => nextState({ study, charter, kind: 'training', state: start, sum: hostile });
    expect(codeOf(run)).toBe('STUDY_SUM_INVALID');
  });

  test('is refused when it is noise or of another length', () => {
    const noise = new Uint32Array(seededRng('noise').bytes(4 * sum.length).buffer);
    const run = (words: Uint32Array, state = start) =>
      codeOf(() => nextState({ study, charter, kind: 'training', state, sum: words }));
    expect(run(noise)).toBe('STUDY_SUM_INVALID');
    expect(run(sum.slice(1))).toBe('STUDY_SUM_INVALID');
    expect(run(sum, { ...start, parameters: new Float32Array(8) })).toBe('MODEL_STATE_INVALID');
    const huge = Float32Array.from({ length: 7 }, () => 3.4028234e38);
    expect(run(sum, { ...start, parameters: huge })).toBe('ok');
    expect(start.parameters[0]).toBe(Math.fround(0.1));
  });

  test('answers any words with its own codes only', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<RoundKind>('statistics', 'training', 'evaluation'),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.nat(1000),
        (kind, seed, zeros) => {
          const length = layoutLength(layoutFor(study, charter, kind));
          const words = new Uint32Array(seededRng(seed.join()).bytes(4 * length).buffer);
          words.fill(0, Math.min(zeros, length));
          const code = codeOf(() => nextState({ study, charter, kind, state: start, sum: words }));
          expect(['ok', 'STUDY_SUM_INVALID']).toContain(code);
        },
      ),
    );
  });

  test('has a norm summed in one order', () => {
    expect(normL2([3, 4])).toBe(5);
  });
});
