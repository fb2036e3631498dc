import { describe, expect, test } from '@jest/globals';
import { isMedleyError, seededRng } from '@medley/kit';
import { addInto, encodeVector, layoutLength } from '@medley/secagg';
import { evaluationValues, type ScoredRows } from './evaluation.ts';
import { settleRound } from './gate.ts';
import { decodeModelState, encodeModelState, type ModelState } from './modelState.ts';
import { layoutFor, type RoundKind, type SlotValues } from './plan.ts';
import { recurrence, recurrenceCharter } from './recurrence.ts';
import { nextState } from './strategy.ts';
import type { Study } from './study.ts';
import { trainingValues } from './training.ts';

const charter = recurrenceCharter();
const { study: open } = recurrence();
const { study } = recurrence((yaml) => `${yaml}gates: {}\n`);
const start: ModelState = { parameters: new Float32Array(7).fill(0.5), standardisation: null };

const LABELS = Uint8Array.from({ length: 40 }, (_, i) => i % 2);
/** Test rows on which the model is right by `margin` in the logit; negative where it is wrong. */
const rows = (margin: number): ScoredRows => ({
  labels: LABELS,
  logits: Float64Array.from(LABELS, (label) => (label === 1 ? margin : -margin)),
});

function ringSum(kind: RoundKind, values: SlotValues): Uint32Array {
  const layout = layoutFor(study, charter, kind);
  const sum = new Uint32Array(layoutLength(layout));
  for (let silo = 0; silo < 5; silo++) addInto(sum, encodeVector(layout, values, seededRng('g')));
  return sum;
}

/** A training round in which every silo moves each parameter by `step`, from a model of that margin. */
function train(state: ModelState, step: number, margin: number, of: Study = study) {
  const local = {
    delta: new Float32Array(7).fill(step),
    ...{ weight: 100, trainLoss: 0.5, test: rows(margin) },
  };
  const sum = ringSum('training', trainingValues(of, charter, local));
  return settleRound({ study: of, charter, kind: 'training', state, sum });
}

const near = (parameters: Float32Array, value: number) =>
  parameters.forEach((parameter) => expect(parameter).toBeCloseTo(value, 3));

describe('the gates', () => {
  test('are off without their section: the round ends as nextState says', () => {
    const settled = train(start, 0.1, 2, open);
    expect(settled.gate).toBeUndefined();
    expect(settled.state).not.toHaveProperty('previous');
    near(settled.state.parameters, 0.6);
  });

  test('have defaults that a study file states as {}', () => {
    expect(study.gates).toEqual({ lossRise: 0.5, aucDrop: 0.1, cosine: -0.9 });
  });

  test('let good rounds pass, and keep the model before with its figures', () => {
    const first = train(start, 0.1, 1);
    const second = train(first.state, 0.1, 1.5);
    expect([first.gate, second.gate]).toEqual([undefined, undefined]);
    near(second.state.parameters, 0.7);
    near(second.state.previous!.parameters, 0.6);
    expect(second.state.previous).toMatchObject({ auc: 1 });
    expect(decodeModelState(encodeModelState(second.state))).toEqual(second.state);
  });

  test('loss: an update after which the model does worse is taken back, the new one with it', () => {
    const first = train(start, 0.1, 1);
    const second = train(first.state, 0.1, 0.2);
    expect(second.gate).toBe('loss');
    expect(second.metrics).toMatchObject({ gate: 'loss', kind: 'training', weight: 500 });
    expect(second.state).toEqual(start);
  });

  test('loss: a rise within the bound passes, the smallest one beyond it does not', () => {
    const first = train(start, 0.1, 1);
    const { loss } = train(first.state, 0.1, 1).state.previous!;
    const at = (before: number) => {
      const state = { ...first.state, previous: { ...first.state.previous!, loss: before } };
      return train(state, 0.1, 1).gate;
    };
    expect(at(loss! / 1.5)).toBeUndefined();
    expect(at((loss! / 1.5) * (1 - 1e-9))).toBe('loss');
  });

  test('auc: a model that ranks worse is taken back though its loss is no higher', () => {
    const first = train(start, 0.1, 1);
    const state = { ...first.state, previous: { ...first.state.previous!, loss: 20 } };
    expect(train(state, 0.1, -1).gate).toBe('auc');
  });

  test('cosine: an update that turns back is not applied, and nothing is compared the next time', () => {
    const first = train(start, 0.1, 1);
    const second = train(first.state, -0.2, 1);
    expect(second.gate).toBe('cosine');
    near(second.state.parameters, 0.6);
    expect(second.state.previous).toBeUndefined();
    const third = train(second.state, -0.2, 1);
    expect(third.gate).toBeUndefined();
    near(third.state.parameters, 0.4);
  });

  test.each([study, open])('sum: a sum that cannot be leaves the model as it was', (of) => {
    const layout = layoutFor(of, charter, 'training');
    const noise = new Uint32Array(seededRng('noise').bytes(4 * layoutLength(layout)).buffer);
    const outcome = { study: of, charter, kind: 'training', state: start, sum: noise } as const;
    expect(() => nextState(outcome)).toThrow('slot');
    expect(settleRound(outcome)).toEqual({
      ...{ state: start, gate: 'sum' },
      metrics: { kind: 'training', gate: 'sum' },
    });
  });

  test('sum: a mean update longer than clipping allows is one that cannot be', () => {
    const state = start;
    const local = { delta: new Float32Array(7), weight: 100, trainLoss: 0.5, test: rows(1) };
    const sum = ringSum('training', trainingValues(study, charter, local));
    sum[0] = 2 ** 30;
    const settled = settleRound({ study, charter, kind: 'training', state, sum });
    expect(settled.gate).toBe('sum');
    expect(settled.state).toBe(state);
  });

  test('judge the last update in the evaluation round', () => {
    const { state } = train(start, 0.1, 1);
    const evaluate = (margin: number) => {
      const sum = ringSum('evaluation', evaluationValues(study, charter, rows(margin)));
      return settleRound({ study, charter, kind: 'evaluation', state, sum });
    };
    expect(evaluate(1).state).toEqual(state);
    expect(evaluate(0.1)).toMatchObject({ gate: 'loss', state: { parameters: start.parameters } });
  });

  test('do not cover the statistics round, without which nothing can go on', () => {
    const layout = layoutFor(study, charter, 'statistics');
    const sum = new Uint32Array(layoutLength(layout));
    const run = () => settleRound({ study, charter, kind: 'statistics', state: start, sum });
    expect(codeOf(run)).toBe('STUDY_SUM_INVALID');
  });
});

describe('a state with a previous model', () => {
  const { state } = train(start, 0.1, 1);

  test('is refused when cut, or with a previous model that is no model', () => {
    const bytes = encodeModelState(state);
    expect(codeOf(() => decodeModelState(bytes.slice(0, -28)))).toBe('MODEL_STATE_INVALID');
    const broken = { ...state.previous!, parameters: Float32Array.of(1) };
    expect(codeOf(() => encodeModelState({ ...state, previous: broken }))).toBe(
      'MODEL_STATE_INVALID',
    );
    const infinite = { ...state.previous!, parameters: new Float32Array(7).fill(Infinity) };
    expect(codeOf(() => encodeModelState({ ...state, previous: infinite }))).toBe(
      'MODEL_STATE_INVALID',
    );
  });
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}
