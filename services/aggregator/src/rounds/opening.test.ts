import { describe, expect, test } from '@jest/globals';
import { ManualClock } from '@medley/kit';
import type { Charter, Study } from '@medley/study';
import type { Agreement } from '../studies/agreement.ts';
import { nextAttempt, readiness } from './opening.ts';
import { Presence } from './presence.ts';

const names = ['a', 'b', 'c', 'd'];
// The parts of charter and study that the decision reads.
const agreement = {
  charter: {
    roster: names.map((silo, i) => ({ index: i + 1, silo, identityKey: '' })),
    secureAggregation: { threshold: 3, minSurvivors: 3, maxAttempts: 2 },
    rounds: { stepSeconds: 30 },
  } as unknown as Charter,
  study: { name: 's', rounds: { count: 3 }, training: { standardise: true } } as unknown as Study,
} satisfies Agreement;

function presenceOf(...attending: readonly string[]): { presence: Presence; clock: ManualClock } {
  const clock = new ManualClock(1_000_000);
  const presence = new Presence(clock, { disconnectGraceMs: 2000, startGraceMs: 10_000 });
  for (const name of attending) presence.enter(name);
  return { presence, clock };
}

describe('the next attempt', () => {
  test('begins with round 0, goes on after a closed round and ends after the last', () => {
    expect(nextAttempt(agreement, undefined)).toMatchObject({
      id: { round: 0, attempt: 1 },
      kind: 'statistics',
    });
    const closed = (round: number) => ({ round, attempt: 2, step: 'closed', closedMs: 5 }) as const;
    expect(nextAttempt(agreement, closed(0))).toMatchObject({
      id: { round: 1, attempt: 1 },
      kind: 'training',
    });
    expect(nextAttempt(agreement, closed(3))).toMatchObject({
      id: { round: 4 },
      kind: 'evaluation',
    });
    expect(nextAttempt(agreement, closed(4))).toBeUndefined();
  });

  test('repeats a failed round after a pause, as often as the charter allows', () => {
    const failed = (attempt: number) =>
      ({ round: 2, attempt, step: 'aborted', closedMs: 500 }) as const;
    expect(nextAttempt(agreement, failed(1))).toMatchObject({
      id: { round: 2, attempt: 2 },
      notBeforeMs: 2500,
    });
    expect(nextAttempt(agreement, failed(2))).toBeUndefined();
  });

  test('is none while one is open', () => {
    expect(
      nextAttempt(agreement, { round: 1, attempt: 1, step: 'mask', closedMs: undefined }),
    ).toBeUndefined();
  });
});

describe('readiness', () => {
  test('needs nothing more when everyone attends', () => {
    const { presence, clock } = presenceOf(...names);
    expect(readiness(agreement, presence, clock.nowMs())).toEqual({ state: 'ready' });
  });

  test('waits a grace for a silo that left, then does without it', () => {
    const { presence, clock } = presenceOf('a', 'b', 'c');
    presence.enter('d')();
    expect(readiness(agreement, presence, clock.nowMs())).toEqual({
      state: 'wait',
      untilMs: 1_002_000,
      missing: ['d'],
    });
    clock.advance(2000);
    expect(readiness(agreement, presence, clock.nowMs())).toEqual({ state: 'ready' });
  });

  test('gives a silo that was never seen its first grace from the start of the study', () => {
    const { presence, clock } = presenceOf('a', 'b', 'c');
    clock.advance(60_000);
    const startedMs = clock.nowMs();
    expect(readiness(agreement, presence, startedMs, startedMs)).toEqual({
      state: 'wait',
      untilMs: startedMs + 10_000,
      missing: ['d'],
    });
    clock.advance(10_000);
    expect(readiness(agreement, presence, clock.nowMs(), startedMs)).toEqual({ state: 'ready' });
  });

  test('waits without end while those who attend do not suffice', () => {
    const { presence, clock } = presenceOf('a', 'b');
    clock.advance(10 ** 9);
    expect(readiness(agreement, presence, clock.nowMs())).toEqual({
      state: 'wait',
      untilMs: undefined,
      missing: ['c', 'd'],
    });
  });
});

describe('presence', () => {
  test('counts streams, and calls a silo absent only after its grace', () => {
    const { presence, clock } = presenceOf();
    expect(presence.isAbsent('a')).toBe(false);
    clock.advance(10_000);
    expect(presence.isAbsent('a')).toBe(true);
    const [first, second] = [presence.enter('a'), presence.enter('a')];
    first();
    first();
    expect(presence.isAttending('a')).toBe(true);
    second();
    expect([presence.isAttending('a'), presence.isAbsent('a')]).toEqual([false, false]);
    expect(presence.absentFromMs('a')).toBe(clock.nowMs() + 2000);
    clock.advance(2000);
    expect(presence.isAbsent('a')).toBe(true);
  });
});
