import { describe, expect, test } from '@jest/globals';
import { isMedleyError } from '@medley/kit';
import { checkTerms, layoutLength, sessionId } from '@medley/secagg';
import {
  firstRound,
  kindOfRound,
  lastRound,
  layoutFor,
  planDocument,
  roundTerms,
  type RoundRequest,
} from './plan.ts';
import { pretendRoster, recurrence, recurrenceCharter } from './recurrence.ts';

const { study } = recurrence();
const charter = recurrenceCharter();
const request: RoundRequest = {
  charter,
  study,
  kind: 'training',
  round: 1,
  attempt: 1,
  modelHash: 'ab'.repeat(32),
};

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (caught) {
    if (isMedleyError(caught)) return caught.code;
    throw caught;
  }
  return 'ok';
}

describe('rounds of a study', () => {
  test('are statistics, training and evaluation in this order', () => {
    expect([firstRound(study), lastRound(study)]).toEqual([0, 31]);
    expect([0, 1, 30, 31, 32, -1, 0.5, NaN].map((round) => kindOfRound(study, round))).toEqual([
      'statistics',
      'training',
      'training',
      'evaluation',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('begin with training where nothing is standardised', () => {
    const plain = recurrence((yaml) =>
      yaml.replace('standardise: true', 'standardise: false'),
    ).study;
    expect(firstRound(plain)).toBe(1);
    expect(kindOfRound(plain, 0)).toBeUndefined();
  });
});

describe('layout of a round', () => {
  test('has the slots of its kind', () => {
    const slots = (kind: 'statistics' | 'training' | 'evaluation') =>
      layoutFor(study, charter, kind).map(({ name, length }) => `${name} ${length}`);
    const evaluation = ['testCount 1', 'testLoss 1', 'brier 1', 'positives 50', 'negatives 50'];
    expect(slots('statistics')).toEqual(['count 1', 'sum 5', 'squares 5']);
    expect(slots('training')).toEqual(['update 7', 'weight 1', 'trainLoss 1', ...evaluation]);
    expect(slots('evaluation')).toEqual(evaluation);
  });

  test('counts in steps of exactly one', () => {
    for (const { name, bound, bits } of layoutFor(study, charter, 'training')) {
      const step = bound / (2 ** (bits - 1) - 1);
      expect(step === 1).toBe(['weight', 'testCount', 'positives', 'negatives'].includes(name));
    }
  });

  test('is what secure aggregation accepts, for rosters of 3 to 200', () => {
    for (const n of [3, 4, 5, 50, 200]) {
      const large = recurrenceCharter({ roster: pretendRoster(n) });
      for (const [kind, round] of [
        ['statistics', 0],
        ['training', 9],
        ['evaluation', 31],
      ] as const) {
        const terms = roundTerms({ ...request, charter: large, kind, round });
        expect(() => checkTerms(terms)).not.toThrow();
        expect(layoutLength(terms.layout)).toBeGreaterThan(10);
      }
    }
  });
});

describe('terms of a round', () => {
  test('bind the session to charter, round, attempt and model', () => {
    const sid = (change: Partial<RoundRequest>) =>
      Buffer.from(sessionId(roundTerms({ ...request, ...change }))).toString('hex');
    const all = [
      sid({}),
      sid({ round: 2 }),
      sid({ attempt: 2 }),
      sid({ modelHash: 'cd'.repeat(32) }),
      sid({ round: 0, kind: 'statistics' }),
      sid({ charter: recurrenceCharter({ modelParameters: 8 }) }),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(sid({})).toBe(all[0]);
  });

  test('carry the hash of the plan', () => {
    const slower = recurrence((yaml) =>
      yaml.replace('learningRate: 0.05', 'learningRate: 0.01'),
    ).study;
    expect(planDocument(slower, charter, 'training')).not.toEqual(
      planDocument(study, charter, 'training'),
    );
    expect(roundTerms({ ...request, study: slower }).planHash).not.toBe(
      roundTerms(request).planHash,
    );
  });

  test.each<[string, Partial<RoundRequest>, string]>([
    ['a round beyond the last', { round: 32 }, 'STUDY_ROUND_INVALID'],
    ['another kind than the round has', { kind: 'statistics' }, 'STUDY_ROUND_INVALID'],
    ['more attempts than signed', { attempt: 4 }, 'STUDY_ROUND_INVALID'],
    ['attempt 0', { attempt: 0 }, 'STUDY_ROUND_INVALID'],
    [
      'another study',
      { study: recurrence((y) => y.replace('name: recurrence-5y', 'name: other')).study },
      'CHARTER_MISMATCH',
    ],
  ])('refuse %s', (_, change, code) => {
    expect(codeOf(() => roundTerms({ ...request, ...change }))).toBe(code);
  });
});
