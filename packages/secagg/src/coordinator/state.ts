import { MedleyError, equalBytes, type ErrorCode } from '@medley/kit';
import { checkTerms, sessionId, type SessionTerms } from '../session.ts';
import type {
  Advert,
  Complaint,
  Confirmation,
  MaskedHeader,
  Release,
  SharesMessage,
} from '../wire/messages.ts';

/** Steps in their order; `complete` and `aborted` are final. */
export type CoordinatorPhase =
  'advertise' | 'share' | 'mask' | 'confirm' | 'release' | 'complete' | 'aborted';

/** Why a session ended without a result; nothing has been learned. */
export interface Abort {
  readonly code: ErrorCode;
  /** The step that could not be closed. */
  readonly phase: CoordinatorPhase;
  /** For the log: counts, no values. */
  readonly reason: string;
}

/**
 * The aggregator's state in one session: what has been accepted, each list ascending by silo.
 *
 *     advertise → share → mask → confirm → release → complete        (closePhase)
 *         └─────────┴───────┴───────┴─────────┴────→ aborted         (closePhase, too few)
 *                           └──────────────────────→ aborted         (accept, a complaint that holds)
 *
 * {@link accept} adds messages of the present phase only; {@link closePhase} fixes the set of those
 * who delivered and moves on. Values are never changed in place; nothing here is secret from the
 * aggregator, but the releases of an attempt must not be published.
 */
export interface CoordinatorState {
  readonly phase: CoordinatorPhase;
  readonly sid: Uint8Array;
  readonly adverts: readonly Advert[];
  readonly shares: readonly SharesMessage[];
  readonly headers: readonly MaskedHeader[];
  /** Upheld; one ends the session. */
  readonly complaints: readonly Complaint[];
  readonly confirmations: readonly Confirmation[];
  readonly releases: readonly Release[];
  readonly abort: Abort | null;
}

/** The state before the first message. Throws SECAGG_TERMS_* ({@link checkTerms}). */
export function openCoordinator(terms: SessionTerms): CoordinatorState {
  checkTerms(terms);
  return {
    phase: 'advertise',
    sid: sessionId(terms),
    adverts: [],
    shares: [],
    headers: [],
    complaints: [],
    confirmations: [],
    releases: [],
    abort: null,
  };
}

/** U1: who shared its secrets. Final once the phase is past `share`. */
export function sharersOf(state: CoordinatorState): readonly number[] {
  return state.shares.map((message) => message.silo);
}

/** U2: whose vector is in the sum. Final once the phase is past `mask`. */
export function survivorsOf(state: CoordinatorState): readonly number[] {
  return state.headers.map((header) => header.silo);
}

/** Throws SECAGG_SESSION_MISMATCH when `state` was opened under other terms. */
export function checkSession(terms: SessionTerms, state: CoordinatorState): void {
  if (!equalBytes(state.sid, sessionId(terms))) {
    throw new MedleyError('SECAGG_SESSION_MISMATCH', 'the state is of another session');
  }
}
