import type { Charter } from '@medley/study';
import { Inquiry, type Claim } from './claim.ts';
import type { Entry } from './entry.ts';
import type { EventOf, TrailEvent } from './event.ts';

type RoundEvent = Extract<TrailEvent, { readonly type: `round.${string}` }>;
type Opened = EventOf<'round.opened'>;

/** What is known of one study while its events are read in order. */
interface Course {
  readonly charter: Charter;
  /** By `round/attempt`. */
  readonly opened: Map<string, Opened>;
  readonly aborted: Set<string>;
  lastClosed: number | undefined;
  isOver: boolean;
  isPaused: boolean;
}

/**
 * Checks that rounds happen only in studies that started, within the charter's counts and life, that
 * each is opened before it is closed and closed once, and that none is left out.
 */
export function checkOrder(
  entries: readonly Entry[],
  charters: ReadonlyMap<string, Charter>,
): Claim {
  const inquiry = new Inquiry('order');
  const courses = new Map<string, Course>();
  for (const { index, event } of entries) {
    const fault = (what: string): void => void inquiry.expect(false, `entry ${index}: ${what}`);
    if (event.type === 'study.started') {
      const charter = charters.get(event.study);
      if (charter && !courses.has(event.study)) courses.set(event.study, begin(charter));
    } else if (event.type === 'study.completed' || event.type === 'study.stopped') {
      inquiry.check(`entry ${index}`, () => {
        end(courses.get(event.study), event, fault);
      });
    } else if (event.type === 'study.paused' || event.type === 'study.resumed') {
      const course = courses.get(event.study);
      if (course) course.isPaused = event.type === 'study.paused';
    } else if (isRoundEvent(event)) {
      inquiry.check(`entry ${index}`, () => {
        step(courses.get(event.study), event, fault);
      });
    }
  }
  return inquiry.close('rounds follow each other as the charters allow');
}

function begin(charter: Charter): Course {
  return {
    charter,
    opened: new Map(),
    aborted: new Set(),
    lastClosed: undefined,
    isOver: false,
    isPaused: false,
  };
}

function isRoundEvent(event: TrailEvent): event is RoundEvent {
  return event.type.startsWith('round.');
}

function end(
  course: Course | undefined,
  event: EventOf<'study.completed' | 'study.stopped'>,
  fault: (what: string) => void,
): void {
  // A study may also be stopped before it starts.
  if (!course) {
    if (event.type === 'study.completed') fault('a study that never started is complete');
    return;
  }
  if (course.isOver) fault('the study had ended before');
  course.isOver = true;
  if (event.type === 'study.completed' && course.lastClosed !== course.charter.rounds.count + 1) {
    fault('the study is complete without its last round');
  }
}

function step(course: Course | undefined, event: RoundEvent, fault: (what: string) => void): void {
  if (!course) {
    fault('a round of a study that never started');
    return;
  }
  if (course.isOver) fault('a round of a study that had ended');
  const key = `${event.round}/${event.attempt}`;
  if (event.type === 'round.opened') {
    if (course.isPaused) fault('a round was opened while the study was paused');
    checkOpening(course, event, fault);
    course.opened.set(key, event);
    return;
  }
  const opened = course.opened.get(key);
  if (!opened) fault(`${event.type} of an attempt that was never opened`);
  if (event.type === 'round.aborted') course.aborted.add(key);
  if (event.type !== 'round.closed') return;
  if (course.aborted.has(key)) fault('an attempt that was aborted is closed');
  checkClosing(course, event, opened, fault);
}

function checkOpening(course: Course, event: Opened, fault: (what: string) => void): void {
  const { charter, opened, lastClosed } = course;
  const { round, attempt, data, at } = event;
  if (opened.has(`${round}/${attempt}`)) fault('an attempt is opened twice');
  if (attempt > charter.secureAggregation.maxAttempts)
    fault('more attempts than the charter allows');
  if (round > charter.rounds.count + 1) fault('more rounds than the charter allows');
  // Both are RFC 3339 in UTC with milliseconds: the order of text is the order of time.
  if (at > charter.expires) fault('a round was opened after the charter expired');
  const isNext = lastClosed === undefined ? round <= 1 : round === lastClosed + 1;
  if (!isNext) fault(`round ${round} does not follow the last closed one`);
  if (data.kind !== kindOf(round, charter)) fault(`round ${round} cannot be a ${data.kind} round`);
}

function kindOf(round: number, charter: Charter): string {
  if (round === 0) return 'statistics';
  return round <= charter.rounds.count ? 'training' : 'evaluation';
}

function checkClosing(
  course: Course,
  event: EventOf<'round.closed'>,
  opened: Opened | undefined,
  fault: (what: string) => void,
): void {
  const { round, data } = event;
  const { lastClosed } = course;
  if (lastClosed !== undefined && round !== lastClosed + 1) fault('a round is closed out of turn');
  course.lastClosed = round;
  if (!opened) return;
  if (opened.data.kind !== data.kind) fault('the round was opened as another kind');
  if (opened.data.sid !== data.receipt['sid']) fault('the round was opened under another session');
  if (opened.data.modelHash !== data.modelHash) fault('the round was opened with another model');
}
