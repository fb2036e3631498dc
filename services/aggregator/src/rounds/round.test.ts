import { describe, expect, test } from '@jest/globals';
import { systemRng } from '@medley/kit';
import {
  complain,
  deliverables,
  deserializeEvidence,
  judge,
  survivorsOf,
  type CoordinatorEvent,
  type SessionTerms,
} from '@medley/secagg';
import { withBrokenBoxes } from '../../../../tests/support/hostileShares.ts';
import { TestSilo, testIdentity, testTerms } from '../../../../tests/support/silos.ts';
import { decodeCourse, decodeState, encodeState, wasAccepted } from './codec.ts';
import { awaited, decide, openRound, type RoundDecision, type RoundState } from './round.ts';
import type { RoundRow, RoundStep } from '../store/rows.ts';

const STEPS = ['advertise', 'share', 'mask', 'confirm', 'release'] as const;
type Step = (typeof STEPS)[number];
const pace = { stepMs: 30_000, trainingMs: 120_000 };
const nobody: ReadonlySet<number> = new Set();

/** Drives one attempt; every decision goes through the stored form, as after a restart. */
class Course {
  readonly terms: SessionTerms;
  readonly silos: readonly TestSilo[];
  state: RoundState;
  decisions: RoundDecision[] = [];
  nowMs = 1000;

  constructor(n: number) {
    this.terms = testTerms(n);
    this.silos = this.terms.roster.map(({ index }) => new TestSilo(this.terms, index));
    const id = { study: 'study', round: 1, attempt: 1 };
    const model = { hash: this.terms.modelHash, sizeBytes: 10 };
    this.state = openRound({ id, kind: 'training', model, pace }, this.terms, this.nowMs);
  }

  /** What silo `index` sends in the present step, undefined when it is out. */
  message(index: number): CoordinatorEvent | undefined {
    const silo = this.silos[index - 1]!;
    const given = deliverables(this.state.coordinator, index);
    switch (given.step) {
      case 'advertise':
        return silo.advertise();
      case 'share':
        return silo.share(given.adverts);
      case 'mask':
        return silo.mask(given.delivery).event;
      case 'confirm':
        return silo.confirm(given.survivors);
      case 'release':
        return silo.release(given.confirmations);
      default:
        return undefined;
    }
  }

  apply(event: Parameters<typeof decide>[2]): RoundDecision {
    const decision = decide(this.terms, this.state, event, this.nowMs);
    this.state = decision.state === this.state ? this.state : restored(decision.state, this.terms);
    this.decisions.push(decision);
    return decision;
  }

  /** Everyone but `without` answers the present step. */
  answer(without: readonly number[] = []): void {
    const messages = this.terms.roster
      .filter(({ index }) => !without.includes(index))
      .map(({ index }) => this.message(index))
      .filter((message) => message !== undefined);
    for (const message of messages) this.apply({ kind: 'message', message });
  }

  get notes() {
    return this.decisions.flatMap((decision) => decision.notes);
  }
}

function restored(state: RoundState, terms: SessionTerms): RoundState {
  if (state.step === 'closed' || state.step === 'aborted') return state;
  return decodeState(rowOf(state), terms);
}

function rowOf(state: RoundState): RoundRow {
  return {
    ...state.id,
    kind: state.kind,
    step: state.step,
    openedMs: state.openedMs,
    closedMs: undefined,
    model: state.model,
    state: encodeState(state),
    outcome: undefined,
    abortCode: state.abortCode,
    bytesUp: 0,
    bytesDown: 0,
  };
}

/** Runs a course in which the silos of `losses` fall silent from that step on. */
function run(
  n: number,
  losses: Partial<Record<Step, readonly number[]>>,
  how: 'deadline' | 'absent',
): Course {
  const course = new Course(n);
  const lost: number[] = [];
  for (const step of STEPS) {
    if (course.state.step !== step) break;
    lost.push(...(losses[step] ?? []));
    course.answer(lost);
    if (course.state.step !== step) continue;
    if (how === 'deadline') {
      course.nowMs = course.state.deadlineMs;
      course.apply({ kind: 'tick', absent: nobody });
    } else {
      course.apply({ kind: 'tick', absent: new Set(lost) });
    }
  }
  return course;
}

describe('a round', () => {
  test('goes through its five steps as soon as everyone has answered', () => {
    const course = run(4, {}, 'deadline');
    expect(course.state.step).toBe('unmask');
    expect(course.state.steps.map(({ step }) => step)).toEqual([...STEPS, 'unmask']);
    expect(course.state.dropped).toEqual([]);
    expect(course.decisions.at(-1)?.effects).toEqual(['notify', 'unmask']);
    expect(course.nowMs).toBe(1000);
    course.apply({ kind: 'opened' });
    expect(course.state.step).toBe('closed');
  });

  const rows: { lost: Step; ends: RoundStep; inSum: boolean }[] = [
    { lost: 'advertise', ends: 'unmask', inSum: false },
    { lost: 'share', ends: 'unmask', inSum: false },
    { lost: 'mask', ends: 'unmask', inSum: false },
    { lost: 'confirm', ends: 'unmask', inSum: true },
    { lost: 'release', ends: 'unmask', inSum: true },
  ];
  for (const how of ['deadline', 'absent'] as const) {
    test.each(rows)(`goes on without a silo lost at $lost (${how})`, ({ lost, ends, inSum }) => {
      const course = run(5, { [lost]: [5] }, how);
      expect(course.state.step).toBe(ends);
      expect(survivorsOf(course.state.coordinator).includes(5)).toBe(inSum);
      expect(course.state.dropped[0]).toEqual({ silo: 5, step: lost });
      expect(course.notes).toContainEqual({ kind: 'dropped', silo: 5, step: lost });
      if (how === 'absent') expect(course.nowMs).toBe(1000);
    });
  }

  const early = STEPS.filter((step) => step !== 'release');
  test.each(early)('aborts when too few are left at %s, and not before the deadline', (lost) => {
    const silent = lost === 'confirm' ? [3, 4, 5] : [4, 5];
    const waiting = run(5, { [lost]: silent }, 'absent');
    expect(waiting.state.step).toBe(lost);
    const course = run(5, { [lost]: silent }, 'deadline');
    expect(course.state.step).toBe('aborted');
    expect(course.state.abortCode).toBe('SECAGG_TOO_FEW');
    expect(course.notes.at(-1)).toEqual({ kind: 'aborted', code: 'SECAGG_TOO_FEW' });
    expect(course.decisions.at(-1)?.effects).toEqual(['notify', 'ended']);
  });

  test('waits on for releases when too few are left for another attempt, at most a day', () => {
    const course = run(5, { release: [3, 4, 5] }, 'deadline');
    expect(course.state).toMatchObject({ step: 'release', deadlineMs: course.nowMs + pace.stepMs });
    course.apply({ kind: 'tick', absent: new Set([3, 4, 5]) });
    expect(course.state.step).toBe('release');
    course.nowMs = course.state.deadlineMs + 86_400_000;
    course.apply({ kind: 'tick', absent: nobody });
    expect(course.state).toMatchObject({ step: 'aborted', abortCode: 'SECAGG_TOO_FEW' });
  });

  test.each([
    ['nobody has released', [1, 2, 3, 4, 5]],
    ['those who did not release are enough', [2, 3, 4, 5]],
  ])('aborts at the deadline of the releases when %s', (_why, silent) => {
    const course = run(5, { release: silent }, 'deadline');
    expect(course.state).toMatchObject({ step: 'aborted', abortCode: 'SECAGG_TOO_FEW' });
  });

  test('gives the mask step the time of training', () => {
    const course = new Course(3);
    course.answer();
    expect(course.state.deadlineMs).toBe(1000 + pace.stepMs);
    course.answer();
    expect(course.state.step).toBe('mask');
    expect(course.state.deadlineMs).toBe(1000 + pace.stepMs + pace.trainingMs);
  });

  test('does not wait for silos that withdrew, and takes nothing more from them', () => {
    const course = new Course(5);
    const late = course.message(5)!;
    course.answer([5]);
    expect(course.state.step).toBe('advertise');
    course.apply({ kind: 'withdraw', silo: 5, code: 'DATA_TOO_FEW' });
    expect(course.state.step).toBe('share');
    const other = new Course(5);
    other.apply({ kind: 'withdraw', silo: 5, code: 'DATA_TOO_FEW' });
    expect(() => other.apply({ kind: 'message', message: late })).toThrow(
      expect.objectContaining({ code: 'ROUND_WITHDRAWN' }),
    );
    expect(awaited(other.terms, other.state)).toEqual([1, 2, 3, 4]);
  });

  test('aborts at once when so many withdrew that the rest cannot suffice', () => {
    const course = new Course(3);
    course.apply({ kind: 'withdraw', silo: 2, code: 'X' });
    expect(course.state.step).toBe('aborted');
  });

  test('takes the same message again without any effect, at every step', () => {
    const course = new Course(3);
    const sent: CoordinatorEvent[] = [];
    for (let i = 0; i < STEPS.length; i++) {
      for (const { index } of course.terms.roster) {
        const message = course.message(index);
        if (message) sent.push(message);
      }
      for (const message of sent.slice(-3)) course.apply({ kind: 'message', message });
      for (const message of sent) {
        const before = course.state;
        const again = course.apply({ kind: 'message', message });
        expect(again).toEqual({ state: before, notes: [], effects: [] });
      }
    }
    expect(course.state.step).toBe('unmask');
  });

  test('changes nothing for messages out of order, from outside, or different ones', () => {
    const course = new Course(4);
    const advert = course.message(1) as CoordinatorEvent & { kind: 'advert' };
    course.apply({ kind: 'message', message: advert });
    const before = course.state;
    const refused = (message: unknown, code: string): void => {
      expect(() => course.apply({ kind: 'message', message: message as CoordinatorEvent })).toThrow(
        expect.objectContaining({ code }),
      );
      expect(course.state).toBe(before);
    };
    const second = new TestSilo(course.terms, 1);
    second.advertise();
    refused(second.advertise(), 'SECAGG_CONFLICT');
    refused(
      { kind: 'advert', message: { ...advert.message, silo: 2 } },
      'SECAGG_SIGNATURE_INVALID',
    );
    refused({ kind: 'advert', message: { ...advert.message, silo: 9 } }, 'SECAGG_SILO_UNKNOWN');
    refused({ kind: 'advert', message: { silo: 'x' } }, 'SECAGG_MESSAGE_MALFORMED');
    const header = {
      silo: 1,
      vectorHash: new Uint8Array(32),
      sharersHash: new Uint8Array(32),
      plainHash: new Uint8Array(32),
      signature: new Uint8Array(64),
    };
    refused({ kind: 'masked', header }, 'SECAGG_OUT_OF_ORDER');
  });

  test('records one refusal of a kind once', () => {
    const course = new Course(3);
    const code = 'SECAGG_SIGNATURE_INVALID';
    const refusal = { kind: 'refused', silo: 1, step: 'share', code } as const;
    expect(course.apply(refusal).notes).toHaveLength(1);
    expect(course.apply(refusal).notes).toHaveLength(0);
    expect(course.apply({ ...refusal, silo: 2 }).notes).toHaveLength(1);
  });

  test.each(['SECAGG_RELEASE_INVALID', 'SECAGG_CONFLICT', 'SECAGG_COMPLAINT_FALSE'] as const)(
    'blames the silo whose own signature convicts it: %s',
    (code) => {
      const course = new Course(3);
      const { notes } = course.apply({ kind: 'refused', silo: 1, step: 'release', code });
      expect(notes).toEqual([
        { kind: 'refused', silo: 1, step: 'release', code },
        { kind: 'blamed', silo: 1, step: 'release', code },
      ]);
    },
  );

  test('ends with a complaint that holds, blames its sender with evidence, and lets it go', () => {
    const course = new Course(4);
    for (let index = 1; index <= 4; index++)
      course.apply({ kind: 'message', message: course.message(index)! });
    for (const index of [1, 3, 4])
      course.apply({ kind: 'message', message: course.message(index)! });
    // Silo 2 signs for a box that does not open.
    course.message(2);
    const message = withBrokenBoxes(course.silos[1]!.shared, [3], testIdentity('s2'));
    course.apply({ kind: 'message', message: { kind: 'shares', message } });
    expect(course.state.step).toBe('mask');
    const given = deliverables(course.state.coordinator, 3);
    if (given.step !== 'mask') throw new Error('no boxes');
    const victim = course.silos[2]!.shared;
    const complaint = complain(victim, given.delivery, testIdentity('s3'), systemRng)!;
    const { notes, effects } = course.apply({
      kind: 'message',
      message: { kind: 'complaint', message: complaint },
    });
    expect(course.state).toMatchObject({ step: 'aborted', abortCode: 'SECAGG_BOX_INVALID' });
    expect(effects).toEqual(['notify', 'ended']);
    expect(notes).toMatchObject([
      { kind: 'blamed', silo: 2, step: 'share', code: 'SECAGG_BOX_INVALID', isExcluded: true },
      { kind: 'aborted', code: 'SECAGG_BOX_INVALID' },
    ]);
    const [blamed] = notes;
    const evidence = blamed?.kind === 'blamed' ? blamed.evidence : undefined;
    const { sid } = course.state.coordinator;
    judge({ terms: course.terms, sid }, deserializeEvidence(evidence!));
  });

  test('names the silos whose shares give back nothing, and lets them go', () => {
    const course = run(3, {}, 'deadline');
    const event = { kind: 'failed', code: 'SECAGG_UNMASK_FAILED', broken: [2] } as const;
    expect(course.apply(event).notes).toEqual([
      { kind: 'blamed', silo: 2, step: 'share', code: 'SECAGG_SHARES_BROKEN', isExcluded: true },
      { kind: 'aborted', code: 'SECAGG_UNMASK_FAILED' },
    ]);
  });

  test('ignores time and withdrawals once it is over', () => {
    const course = run(3, {}, 'deadline');
    course.nowMs += 10 ** 9;
    course.apply({ kind: 'tick', absent: new Set([1, 2, 3]) });
    expect(course.state.step).toBe('unmask');
    course.apply({ kind: 'failed', code: 'SECAGG_UNMASK_FAILED' });
    expect(course.state).toMatchObject({ step: 'aborted', abortCode: 'SECAGG_UNMASK_FAILED' });
    const end = course.state;
    course.apply({ kind: 'withdraw', silo: 1, code: 'X' });
    expect(course.state).toBe(end);
  });
});

describe('the stored form of a round', () => {
  test('of an ended round keeps who took part and knows a repeated message, but no shares', () => {
    const course = run(4, { mask: [4] }, 'deadline');
    course.apply({ kind: 'opened' });
    const release = course.state.coordinator.releases[0]!;
    const bytes = encodeState(course.state);
    const kept = decodeCourse(bytes);
    expect(kept).toMatchObject({
      sharers: [1, 2, 3, 4],
      survivors: [1, 2, 3],
      dropped: [{ silo: 4, step: 'mask' }],
    });
    expect(wasAccepted(kept, release.signature)).toBe(true);
    expect(wasAccepted(kept, new Uint8Array(64))).toBe(false);
    expect(bytes.length).toBeLessThan(4000);
  });

  test('refuses bytes that it did not write', () => {
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array([0, 0, 0, 1, 123]),
      new Uint8Array(200).fill(255),
    ]) {
      expect(() => decodeCourse(bytes)).toThrow(
        expect.objectContaining({ code: 'STORE_UNUSABLE' }),
      );
    }
  });
});
