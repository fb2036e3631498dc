import { isMedleyError, MedleyError, type ErrorCode } from '@medley/kit';
import {
  accept,
  awaitedSilos,
  closePhase,
  evidenceOf,
  openCoordinator,
  quorum,
  serializeEvidence,
  sharersOf,
  survivorsOf,
  type Complaint,
  type CoordinatorEvent,
  type CoordinatorState,
  type SessionTerms,
} from '@medley/secagg';
import type { BlobName, RoundId, RoundKindName, RoundStep } from '../store/rows.ts';

/** When a step of a round was entered. */
export interface StepTime {
  readonly step: RoundStep;
  readonly atMs: number;
}

/** A silo that the round went on without, from that step on. */
export interface Drop {
  readonly silo: number;
  readonly step: RoundStep;
}

/** How long steps may take, in milliseconds (from the charter). */
export interface Pace {
  readonly stepMs: number;
  readonly trainingMs: number;
}

/**
 * One attempt of one round, as a value.
 *
 *     advertise → share → mask → confirm → release → unmask → closed
 *         └─────────┴───────┴───────┴─────────┴────────┴────→ aborted
 *
 * The five steps are those of the secure aggregation's coordinator. `unmask` is the aggregator's own
 * work; it is a state so that a restart goes on with it. `closed` and `aborted` are final.
 */
export interface RoundState {
  readonly id: RoundId;
  readonly kind: RoundKindName;
  readonly model: BlobName;
  readonly pace: Pace;
  readonly step: RoundStep;
  readonly openedMs: number;
  /** End of the present step; 0 in `unmask` and after the end. */
  readonly deadlineMs: number;
  readonly steps: readonly StepTime[];
  readonly coordinator: CoordinatorState;
  readonly withdrawn: readonly { readonly silo: number; readonly code: string }[];
  readonly dropped: readonly Drop[];
  /** Refused messages that the log has already: `silo step code`. */
  readonly refusals: readonly string[];
  readonly abortCode: ErrorCode | undefined;
}

export type RoundEvent =
  | { readonly kind: 'message'; readonly message: CoordinatorEvent }
  | { readonly kind: 'withdraw'; readonly silo: number; readonly code: string }
  /** Time passed or streams came and went; `absent` are silos whose stream is gone for good. */
  | { readonly kind: 'tick'; readonly absent: ReadonlySet<number> }
  | {
      readonly kind: 'refused';
      readonly silo: number;
      readonly step: RoundStep;
      readonly code: string;
    }
  | { readonly kind: 'opened' }
  /** `broken`: silos whose shares do not give back what they committed to. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly broken?: readonly number[] };

/** What happened to a round, for the log. */
export type RoundNote =
  | { readonly kind: 'dropped'; readonly silo: number; readonly step: RoundStep }
  | {
      readonly kind: 'refused';
      readonly silo: number;
      readonly step: RoundStep;
      readonly code: string;
    }
  /** A silo's own signed message proves that it broke the protocol. */
  | {
      readonly kind: 'blamed';
      readonly silo: number;
      readonly step: RoundStep;
      readonly code: string;
      /** Set where the study goes on without the silo. */
      readonly isExcluded?: true;
      /** `serializeEvidence`, where anybody can judge it. */
      readonly evidence?: Uint8Array;
    }
  | { readonly kind: 'aborted'; readonly code: ErrorCode };

/**
 * Refusals of a message whose signature is the silo's own, and which no honest agent sends: the shares
 * that it signed for are others, it signed two different messages, it complained about a sound box.
 */
const PROVEN: ReadonlySet<string> = new Set<ErrorCode>([
  ...(['SECAGG_RELEASE_INVALID', 'SECAGG_CONFLICT', 'SECAGG_COMPLAINT_FALSE'] as const),
]);

/** The new state, what to record with it, and what to do once both are durable. */
export interface RoundDecision {
  readonly state: RoundState;
  readonly notes: readonly RoundNote[];
  /** `notify`: tasks changed; `unmask`: open the sum; `ended`: the attempt is over. */
  readonly effects: readonly ('notify' | 'unmask' | 'ended')[];
}

/** A round before its first message. */
export function openRound(
  start: Pick<RoundState, 'id' | 'kind' | 'model' | 'pace'>,
  terms: SessionTerms,
  nowMs: number,
): RoundState {
  return {
    ...start,
    step: 'advertise',
    openedMs: nowMs,
    deadlineMs: nowMs + start.pace.stepMs,
    steps: [{ step: 'advertise', atMs: nowMs }],
    coordinator: openCoordinator(terms),
    withdrawn: [],
    dropped: [],
    refusals: [],
    abortCode: undefined,
  };
}

/**
 * The decision on one event. Pure: the same arguments give the same decision, and the given state is
 * never changed. Throws the SECAGG_* code of a refused message ({@link accept}) and ROUND_WITHDRAWN;
 * the state then stays as it was. An exact repeat gives the same state object and no effects.
 */
export function decide(
  terms: SessionTerms,
  state: RoundState,
  event: RoundEvent,
  nowMs: number,
): RoundDecision {
  switch (event.kind) {
    case 'message': {
      const coordinator = accept(terms, state.coordinator, event.message);
      if (coordinator === state.coordinator) return unchanged(state);
      const silo = senderOf(event.message);
      if (state.withdrawn.some((one) => one.silo === silo)) {
        throw new MedleyError('ROUND_WITHDRAWN', `silo ${silo} withdrew from this attempt`);
      }
      if (event.message.kind === 'complaint')
        return convicted({ ...state, coordinator }, event.message.message, nowMs);
      return settle(terms, { ...state, coordinator }, NOBODY, nowMs);
    }
    case 'withdraw': {
      const { silo, code } = event;
      if (!isRunning(state) || state.withdrawn.some((one) => one.silo === silo))
        return unchanged(state);
      const withdrawn = [...state.withdrawn, { silo, code: code.slice(0, 64) }];
      return settle(terms, { ...state, withdrawn }, NOBODY, nowMs);
    }
    case 'tick':
      return settle(terms, state, event.absent, nowMs);
    case 'refused': {
      const { silo, step, code } = event;
      const name = `${silo} ${step} ${code}`;
      if (state.refusals.includes(name)) return unchanged(state);
      const refusals = [...state.refusals, name];
      const notes: RoundNote[] = [{ kind: 'refused', silo, step, code }];
      if (PROVEN.has(code)) notes.push({ kind: 'blamed', silo, step, code });
      return { state: { ...state, refusals }, notes, effects: [] };
    }
    case 'opened':
      return { state: entered(state, 'closed', 0, nowMs), notes: [], effects: ['notify', 'ended'] };
    case 'failed': {
      const end = aborted(state, event.code, nowMs);
      const blamed = (event.broken ?? []).map(sharedBrokenly);
      return { ...end, notes: [...blamed, ...end.notes] };
    }
  }
}

/** Indices of silos whose message the present step still lacks and which may still send it. */
export function awaited(terms: SessionTerms, state: RoundState): readonly number[] {
  if (!isRunning(state)) return [];
  const gone = new Set(state.withdrawn.map(({ silo }) => silo));
  return awaitedSilos(terms, state.coordinator).filter((silo) => !gone.has(silo));
}

/** U1 and U2 as far as they are known. */
export function membersOf(state: RoundState): {
  readonly sharers: readonly number[];
  readonly survivors: readonly number[];
} {
  return { sharers: sharersOf(state.coordinator), survivors: survivorsOf(state.coordinator) };
}

/** True while silos' messages move the round. */
export function isRunning(state: RoundState): boolean {
  return state.step !== 'unmask' && state.step !== 'closed' && state.step !== 'aborted';
}

const NOBODY: ReadonlySet<number> = new Set();

/** Closes the present step if it may be closed; the next one waits for messages of its own. */
function settle(
  terms: SessionTerms,
  state: RoundState,
  absent: ReadonlySet<number>,
  nowMs: number,
): RoundDecision {
  if (!isRunning(state) || !mayClose(terms, state, absent, nowMs)) return unchanged(state);
  const { step } = state;
  if (isLastChance(terms, state, nowMs)) {
    return { state: { ...state, deadlineMs: nowMs + state.pace.stepMs }, notes: [], effects: [] };
  }
  const missing = awaitedSilos(terms, state.coordinator);
  const coordinator = closePhase(terms, state.coordinator);
  const closed: RoundState = {
    ...state,
    coordinator,
    dropped: [...state.dropped, ...missing.map((silo) => ({ silo, step }))],
  };
  const notes = missing.map((silo): RoundNote => ({ kind: 'dropped', silo, step }));
  switch (coordinator.phase) {
    case 'aborted': {
      const end = aborted(closed, coordinator.abort?.code ?? 'SECAGG_TOO_FEW', nowMs);
      return { ...end, notes: [...notes, ...end.notes] };
    }
    case 'complete':
      return { state: entered(closed, 'unmask', 0, nowMs), notes, effects: ['notify', 'unmask'] };
    default: {
      const { stepMs, trainingMs } = state.pace;
      // Silos train between receiving the boxes and sending the masked vector.
      const limitMs = coordinator.phase === 'mask' ? stepMs + trainingMs : stepMs;
      const next = entered(closed, coordinator.phase, nowMs + limitMs, nowMs);
      return { state: next, notes, effects: ['notify'] };
    }
  }
}

/**
 * A step closes when all who may still answer have, when its time is over, when so many withdrew that
 * it can only fail, or when only silos whose stream is gone are missing and the rest suffice: waiting
 * for those would cost everybody the whole step and gain nothing.
 */
function mayClose(
  terms: SessionTerms,
  state: RoundState,
  absent: ReadonlySet<number>,
  nowMs: number,
): boolean {
  const missing = awaited(terms, state);
  if (missing.length === 0 || nowMs >= state.deadlineMs) return true;
  const { delivered, needed } = tally(terms, state.coordinator);
  if (delivered + missing.length < needed) return true;
  return delivered >= needed && missing.every((silo) => absent.has(silo));
}

/** How long a round waits for releases that no other attempt could replace: a day. */
const RELEASE_PATIENCE_MS = 86_400_000;

/**
 * True when an attempt that fails now could never be made good: silos that released refuse every other
 * attempt, and too few are left for one. Waiting on costs nothing, for the sum is fixed; giving up
 * would end the study.
 */
function isLastChance(terms: SessionTerms, state: RoundState, nowMs: number): boolean {
  if (state.coordinator.phase !== 'release') return false;
  const missing = awaited(terms, state).length;
  const { delivered, needed } = tally(terms, state.coordinator);
  const canStillOpen = delivered < needed && delivered + missing >= needed;
  const canRetry = terms.roster.length - delivered >= quorum(terms);
  const sinceMs = state.steps.at(-1)?.atMs ?? state.openedMs;
  return canStillOpen && !canRetry && nowMs < sinceMs + RELEASE_PATIENCE_MS;
}

/** Messages that the present step has, and how few let it close. */
function tally(
  terms: SessionTerms,
  coordinator: CoordinatorState,
): { readonly delivered: number; readonly needed: number } {
  const { adverts, shares, headers, confirmations, releases } = coordinator;
  const { threshold } = terms;
  switch (coordinator.phase) {
    case 'advertise':
      return { delivered: adverts.length, needed: quorum(terms) };
    case 'share':
      return { delivered: shares.length, needed: quorum(terms) };
    case 'mask':
      return { delivered: headers.length, needed: quorum(terms) };
    case 'confirm':
      return { delivered: confirmations.length, needed: threshold };
    case 'release':
      return { delivered: releases.length, needed: threshold };
    case 'complete':
    case 'aborted':
      return { delivered: 0, needed: 0 };
  }
}

/** The end of an attempt in which a complaint holds: its sender goes, the others try again without it. */
function convicted(state: RoundState, complaint: Complaint, nowMs: number): RoundDecision {
  const code = 'SECAGG_BOX_INVALID';
  const evidence = serializeEvidence(evidenceOf(state.coordinator, complaint));
  const blamed = { kind: 'blamed', silo: complaint.about, step: 'share', code } as const;
  const end = aborted(state, code, nowMs);
  return { ...end, notes: [{ ...blamed, isExcluded: true, evidence }, ...end.notes] };
}

/** The blame for shares that do not fit together, each of which its holder released as it got it. */
export function sharedBrokenly(silo: number): RoundNote {
  return { kind: 'blamed', silo, step: 'share', code: 'SECAGG_SHARES_BROKEN', isExcluded: true };
}

function aborted(state: RoundState, code: ErrorCode, nowMs: number): RoundDecision {
  const end = { ...entered(state, 'aborted', 0, nowMs), abortCode: code };
  return { state: end, notes: [{ kind: 'aborted', code }], effects: ['notify', 'ended'] };
}

function entered(state: RoundState, step: RoundStep, deadlineMs: number, atMs: number): RoundState {
  return { ...state, step, deadlineMs, steps: [...state.steps, { step, atMs }] };
}

function unchanged(state: RoundState): RoundDecision {
  return { state, notes: [], effects: [] };
}

/** Index of the silo that a message claims to be from; its signature is what proves it. */
export function senderOf(message: CoordinatorEvent): number {
  return message.kind === 'masked' ? message.header.silo : message.message.silo;
}

/** The code under which a refusal is recorded. */
export function refusalCode(caught: unknown): ErrorCode {
  return isMedleyError(caught) ? caught.code : 'INTERNAL';
}
