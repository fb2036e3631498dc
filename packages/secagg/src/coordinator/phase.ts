import { quorum, type SessionTerms } from '../session.ts';
import { deliveredTo } from '../wire/boxTree.ts';
import type { Advert, Confirmation, ShareDelivery } from '../wire/messages.ts';
import {
  checkSession,
  sharersOf,
  survivorsOf,
  type CoordinatorPhase,
  type CoordinatorState,
} from './state.ts';

type OpenPhase = Exclude<CoordinatorPhase, 'complete' | 'aborted'>;

interface Step {
  readonly next: CoordinatorPhase;
  readonly delivered: readonly number[];
  readonly eligible: readonly number[];
  /** Fewest deliveries with which the phase may close. */
  readonly needed: number;
}

function silosOf(messages: readonly { readonly silo: number }[]): readonly number[] {
  return messages.map((message) => message.silo);
}

function stepOf(terms: SessionTerms, state: CoordinatorState, phase: OpenPhase): Step {
  switch (phase) {
    case 'advertise':
      return {
        next: 'share',
        delivered: silosOf(state.adverts),
        eligible: terms.roster.map((entry) => entry.index),
        needed: quorum(terms),
      };
    case 'share':
      return {
        next: 'mask',
        delivered: sharersOf(state),
        eligible: silosOf(state.adverts),
        needed: quorum(terms),
      };
    case 'mask':
      return {
        next: 'confirm',
        delivered: survivorsOf(state),
        eligible: sharersOf(state),
        needed: quorum(terms),
      };
    case 'confirm':
      return {
        next: 'release',
        delivered: silosOf(state.confirmations),
        eligible: survivorsOf(state),
        needed: terms.threshold,
      };
    case 'release':
      return {
        next: 'complete',
        delivered: silosOf(state.releases),
        eligible: survivorsOf(state),
        needed: terms.threshold,
      };
  }
}

/** Whose message the present phase still lacks, ascending; empty when final. */
export function awaitedSilos(terms: SessionTerms, state: CoordinatorState): readonly number[] {
  if (state.phase === 'complete' || state.phase === 'aborted') return [];
  const { eligible, delivered } = stepOf(terms, state, state.phase);
  return eligible.filter((silo) => !delivered.includes(silo));
}

/** True when everyone who may speak in this phase has; waiting longer changes nothing. */
export function isPhaseFull(terms: SessionTerms, state: CoordinatorState): boolean {
  return awaitedSilos(terms, state).length === 0;
}

/**
 * Ends the present phase with those who delivered: fixes the advertisers, U1, U2. With fewer than
 * max(t, minSurvivors) (advertise, share, mask) or t (confirm, release) the session is `aborted`,
 * with the reason. A final state is returned as it is. Throws SECAGG_SESSION_MISMATCH.
 */
export function closePhase(terms: SessionTerms, state: CoordinatorState): CoordinatorState {
  checkSession(terms, state);
  const { phase } = state;
  if (phase === 'complete' || phase === 'aborted') return state;
  const { next, delivered, needed } = stepOf(terms, state, phase);
  if (delivered.length >= needed) return { ...state, phase: next };
  const reason = `${delivered.length} silos of ${needed} needed in step ${phase}`;
  return { ...state, phase: 'aborted', abort: { code: 'SECAGG_TOO_FEW', phase, reason } };
}

/** What one silo needs for its next step; `none` when it is out of this attempt. */
export type Deliverable =
  | { readonly step: 'advertise' }
  | { readonly step: 'share'; readonly adverts: readonly Advert[] }
  | { readonly step: 'mask'; readonly delivery: ShareDelivery }
  | { readonly step: 'confirm'; readonly survivors: readonly number[] }
  | { readonly step: 'release'; readonly confirmations: readonly Confirmation[] }
  | { readonly step: 'complete' }
  | { readonly step: 'aborted' }
  | { readonly step: 'none' };

/** The same for every member of a set but the boxes, which are only the silo's own. */
export function deliverables(state: CoordinatorState, silo: number): Deliverable {
  switch (state.phase) {
    case 'advertise':
    case 'complete':
    case 'aborted':
      return { step: state.phase };
    case 'share':
      if (!silosOf(state.adverts).includes(silo)) return { step: 'none' };
      return { step: 'share', adverts: state.adverts };
    case 'mask':
      if (!sharersOf(state).includes(silo)) return { step: 'none' };
      return { step: 'mask', delivery: deliveryFor(state, silo) };
    case 'confirm':
      if (!survivorsOf(state).includes(silo)) return { step: 'none' };
      return { step: 'confirm', survivors: survivorsOf(state) };
    case 'release':
      if (!survivorsOf(state).includes(silo)) return { step: 'none' };
      return { step: 'release', confirmations: state.confirmations };
  }
}

function deliveryFor(state: CoordinatorState, silo: number): ShareDelivery {
  const boxes = state.shares.flatMap((message) => deliveredTo(state.sid, message, silo) ?? []);
  return { sharers: sharersOf(state), boxes };
}
