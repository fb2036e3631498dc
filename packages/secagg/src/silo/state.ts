import { MedleyError } from '@medley/kit';
import type { SessionTerms } from '../session.ts';
import type {
  Advert,
  Confirmation,
  MaskedHeader,
  Release,
  ShareOf,
  SharesMessage,
} from '../wire/messages.ts';

interface InSession {
  readonly terms: SessionTerms;
  readonly sid: Uint8Array;
  /** This silo's roster index. */
  readonly me: number;
}

/** After R0: fresh keys exist and the advert may be sent. */
export interface AdvertisedSilo extends InSession {
  readonly phase: 'advertised';
  readonly channelPrivate: Uint8Array;
  readonly maskPrivate: Uint8Array;
  readonly advert: Advert;
}

/** After R1: the seed b exists, its shares and those of the mask key are in the boxes. */
export interface SharedSilo extends InSession {
  readonly phase: 'shared';
  readonly channelPrivate: Uint8Array;
  readonly maskPrivate: Uint8Array;
  readonly seed: Uint8Array;
  /** This silo's own share of its own seed. */
  readonly ownSeedShare: Uint8Array;
  /** Salt of the audit commitment; kept for an audit, secret until then. */
  readonly auditSalt: Uint8Array;
  /** Every advert of the session, ascending, this silo's among them. */
  readonly adverts: readonly Advert[];
  readonly shares: SharesMessage;
}

/** After R2: one vector has been masked; the channel key is gone, the others' shares are open. */
export interface MaskedSilo extends InSession {
  readonly phase: 'masked';
  readonly maskPrivate: Uint8Array;
  readonly seed: Uint8Array;
  readonly auditSalt: Uint8Array;
  readonly adverts: readonly Advert[];
  /** U1, ascending. */
  readonly sharers: readonly number[];
  readonly deliveryHash: Uint8Array;
  /** One for every v in U1. */
  readonly seedShares: readonly ShareOf[];
  /** One for every v in U1 but this silo. */
  readonly keyShares: readonly ShareOf[];
  readonly header: MaskedHeader;
}

/**
 * After R3: one U2 is signed, and only what may be released for it is still held: seed shares of U2
 * and key shares of U1∖U2. No state holds both for one silo from here on.
 */
export interface ConfirmedSilo extends InSession {
  readonly phase: 'confirmed';
  readonly auditSalt: Uint8Array;
  readonly sharers: readonly number[];
  readonly survivors: readonly number[];
  readonly seedShares: readonly ShareOf[];
  readonly keyShares: readonly ShareOf[];
  readonly confirmation: Confirmation;
}

/** After R4: nothing secret is left but the audit salt; the message holds what was given away. */
export interface ReleasedSilo extends InSession {
  readonly phase: 'released';
  readonly auditSalt: Uint8Array;
  readonly sharers: readonly number[];
  readonly survivors: readonly number[];
  readonly release: Release;
}

/**
 * A silo's single-use state in one session (one round, one attempt). Legal moves:
 *
 *     advertise() → advertised → share() → shared → mask() → masked → confirm() → confirmed
 *                                                                   → release() → released
 *
 * Each step called again with the same input in the state it led to gives the same message; with
 * other input it is refused; every other step is SECAGG_OUT_OF_ORDER. There is no way back. The
 * caller stores the returned state durably *before* it sends the returned message, and never goes on
 * from an older copy. The states hold private keys and shares: store them with mode 0600, never log.
 */
export type SiloState = AdvertisedSilo | SharedSilo | MaskedSilo | ConfirmedSilo | ReleasedSilo;

/** The error of a step that does not follow from `state`. */
export function outOfOrder(step: string, state: SiloState): MedleyError {
  return new MedleyError('SECAGG_OUT_OF_ORDER', `${step} after ${state.phase}`);
}

/**
 * Refuses a new attempt of a round in which this silo has released shares already: the shares of two
 * attempts could otherwise be played against each other. Throws SECAGG_ROUND_RELEASED.
 */
export function checkRetry(earlier: readonly SiloState[], terms: SessionTerms): void {
  const released = earlier.some(
    (state) =>
      state.phase === 'released' &&
      state.terms.federation === terms.federation &&
      state.terms.study === terms.study &&
      state.terms.round === terms.round &&
      state.terms.attempt !== terms.attempt,
  );
  if (released) {
    throw new MedleyError('SECAGG_ROUND_RELEASED', `study ${terms.study}, round ${terms.round}`);
  }
}
