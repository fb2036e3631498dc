import type { ErrorCode } from '@medley/kit';
import {
  confirmationBytes,
  sessionId,
  setHash,
  type Advert,
  type Confirmation,
} from '@medley/secagg';
import { roundTerms, type Charter } from '@medley/study';
import { advertBytes } from '../../packages/secagg/src/wire/messages.ts';
import type { Task, TaskStep } from '../../silo-agent/src/round/task.ts';
import { STUDY, type Federation } from './hospitals.ts';

/** The silo that is attacked, and one of the roster that does the aggregator's bidding. */
export const VICTIM = 1;
export const ACCOMPLICE = 5;

export type StepOf<Name extends TaskStep['name']> = Extract<TaskStep, { readonly name: Name }>;

/** The step inside a task that is known to ask for it. */
export function stepOf<Name extends TaskStep['name']>(task: Task, name: Name): StepOf<Name> {
  if (task.step.name !== name) throw new Error(`a task to ${task.step.name}`);
  return task.step as StepOf<Name>;
}

type ShareStep = StepOf<'share'>;
export const withAdverts = (
  task: Task,
  bend: (adverts: ShareStep['adverts']) => readonly object[],
): Task => ({
  ...task,
  step: { name: 'share', adverts: bend(stepOf(task, 'share').adverts) as ShareStep['adverts'] },
});

/** An advert of the accomplice with other keys, properly signed. */
export function accompliceAdvert(
  fed: Federation,
  change: (own: Advert) => Partial<Advert>,
): Advert {
  const own = fed.coordinator.adverts.find(({ silo }) => silo === ACCOMPLICE)!;
  const unsigned = { ...own, ...change(own) };
  const { identity } = fed.member(ACCOMPLICE);
  return {
    ...unsigned,
    signature: identity.sign(advertBytes(fed.coordinator.sid, unsigned)),
  };
}

export function accompliceConfirmation(
  fed: Federation,
  survivors: readonly number[],
): Confirmation {
  const { coordinator } = fed;
  const sharers = coordinator.shares.map(({ silo }) => silo);
  const unsigned = {
    silo: ACCOMPLICE,
    survivorsHash: setHash(coordinator.sid, survivors),
    sharersHash: setHash(coordinator.sid, sharers),
  };
  const { identity } = fed.member(ACCOMPLICE);
  return { ...unsigned, signature: identity.sign(confirmationBytes(coordinator.sid, unsigned)) };
}

/** The same task under the session that another charter would make. */
export function underCharter(
  fed: Federation,
  task: Task,
  change: (charter: Charter) => Charter,
): Task {
  const charter = change(fed.charter);
  const { round, attempt } = task.id;
  const terms = { charter, study: STUDY, kind: task.kind, round, attempt };
  return {
    ...task,
    sessionId: sessionId(roundTerms({ ...terms, modelHash: fed.modelHash })),
  };
}

export const weaker =
  (change: Partial<Charter['secureAggregation']>) =>
  (charter: Charter): Charter => ({
    ...charter,
    secureAggregation: { ...charter.secureAggregation, ...change },
  });

export interface Attack {
  readonly title: string;
  readonly step: 'advertise' | 'share' | 'mask' | 'confirm' | 'release';
  readonly code: ErrorCode;
  /** What the victim is told in place of the honest task. */
  readonly bend: (honest: Task, fed: Federation) => Task | Promise<Task>;
}

type MaskBoxes = StepOf<'mask'>['boxes'];

export function withBoxes(task: Task, bend: (boxes: MaskBoxes) => MaskBoxes): Task {
  const step = stepOf(task, 'mask');
  return { ...task, step: { ...step, boxes: bend(step.boxes) } };
}

export function turned(box: Uint8Array): Buffer {
  const bytes = Buffer.from(box);
  bytes[40]! ^= 1;
  return bytes;
}
