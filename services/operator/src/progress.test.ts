import { describe, expect, test } from '@jest/globals';
import { utf8 } from '@medley/kit';
import type { RoundStatus__Output, StudyStatus__Output } from '@medley/rpc';
import { isOver, progressLine, studyReport } from './progress.ts';

const ROUND: RoundStatus__Output = {
  round: 1,
  attempt: 1,
  kind: 'training',
  step: 'closed',
  openedMs: '1000',
  closedMs: '2000',
  sharers: ['a', 'b', 'c'],
  survivors: ['a', 'b'],
  dropped: ['c'],
  bytesUp: '10',
  bytesDown: '20',
  metrics: Buffer.from('{"kind":"training","weight":5,"evaluation":{"auc":0.75,"loss":0.5}}'),
  abortCode: '',
  steps: [{ step: 'advertise', atMs: '1000' }],
};
const OPEN: RoundStatus__Output = {
  ...ROUND,
  round: 2,
  step: 'share',
  closedMs: '0',
  metrics: Buffer.alloc(0),
};

function status(change: Partial<StudyStatus__Output> = {}): StudyStatus__Output {
  return {
    summary: {
      study: 's',
      title: 'A study',
      state: 'active',
      charterHash: 'c0',
      signed: 3,
      rosterSize: 3,
      round: 1,
      rounds: 3,
      myDecision: 'none',
    },
    rounds: [ROUND, OPEN],
    waitingFor: '',
    privacy: null,
    ...change,
  };
}

describe('studyReport', () => {
  test('gives numbers for the 64-bit texts of the wire and null for what is not there', () => {
    const report = studyReport(status());
    expect(report).toMatchObject({ study: 's', round: 1, lastRound: 3, waitingFor: null });
    expect(report).not.toHaveProperty('myDecision');
    expect(report.rounds[0]).toEqual({
      ...ROUND,
      openedMs: 1000,
      closedMs: 2000,
      bytesUp: 10,
      bytesDown: 20,
      abortCode: null,
      steps: [{ step: 'advertise', atMs: 1000 }],
      metrics: { kind: 'training', weight: 5, evaluation: { auc: 0.75, loss: 0.5 } },
    });
    expect(report.rounds[1]).toMatchObject({ closedMs: null, metrics: null });
  });

  test.each([
    ['not JSON', utf8('{')],
    ['not UTF-8', Uint8Array.of(0xff, 0xfe)],
    ['of no kind', utf8('{}')],
    ['null', utf8('null')],
    ['with an AUC in words', utf8('{"kind":"k","evaluation":{"auc":"high","loss":1}}')],
  ])('refuses metrics that are %s', (_, bytes) => {
    const round = { ...ROUND, metrics: Buffer.from(bytes) };
    expect(() => studyReport(status({ rounds: [round] }))).toThrow(
      expect.objectContaining({ code: 'RPC_MESSAGE_INVALID' }),
    );
  });

  test('refuses a status of no study', () => {
    expect(() => studyReport(status({ summary: null }))).toThrow(
      expect.objectContaining({ code: 'RPC_MESSAGE_INVALID' }),
    );
  });
});

test.each([
  ['proposed', false],
  ['active', false],
  ['completed', true],
  ['withdrawn', true],
  ['expired', true],
])('a study that is %s is over: %s', (state, over) => {
  const report = studyReport(status());
  expect(isOver({ ...report, state })).toBe(over);
});

describe('progressLine', () => {
  test('shows the open round, its step, the newest AUC and who is waited for', () => {
    const line = progressLine(studyReport(status({ waitingFor: 'b in step share' })));
    expect(line).toBe('████████████░░░░░░░░░░░░ round 2/3  share  AUC 0.7500  (b in step share)');
  });

  test('is empty before the first round and full after the last', () => {
    const report = studyReport(status({ rounds: [] }));
    expect(progressLine({ ...report, round: 0 })).toBe(`${'░'.repeat(24)} round 0/3  active`);
    const done = { ...studyReport(status({ rounds: [ROUND] })), round: 3, state: 'completed' };
    expect(progressLine(done)).toBe(`${'█'.repeat(24)} round 3/3  completed  AUC 0.7500`);
  });

  test('lets no peer steer the terminal', () => {
    expect(progressLine(studyReport(status({ waitingFor: '\u001b[2J' })))).not.toContain('\u001b');
  });
});
