import { MedleyError, equalBytes } from '@medley/kit';
import { rosterEntry, type SessionTerms } from '../session.ts';
import { checkConfirmation } from '../wire/confirmations.ts';
import { judge } from '../dispute/judge.ts';
import { signedShares } from '../wire/boxTree.ts';
import { setHash, shareHash, type SecretKind } from '../wire/frame.ts';
import {
  advertBytes,
  complaintBytes,
  confirmationBytes,
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeSharesMessage,
  maskedBytes,
  releaseBytes,
  sameMessage,
  type Advert,
  type Complaint,
  type Confirmation,
  type MaskedHeader,
  type Release,
  type ShareOf,
  type SharesMessage,
} from '../wire/messages.ts';
import { checkAdvert, checkDistinct, checkSignature } from '../wire/signing.ts';
import { isFieldElement } from '../arithmetic/shamir.ts';
import { committedHash, evidenceOf } from './evidence.ts';
import {
  checkSession,
  sharersOf,
  survivorsOf,
  type CoordinatorPhase,
  type CoordinatorState,
} from './state.ts';

/** A message that reached the aggregator; it may come straight from the wire decoder. */
export type CoordinatorEvent =
  | { readonly kind: 'advert'; readonly message: Advert }
  | { readonly kind: 'shares'; readonly message: SharesMessage }
  /** The vector must be stored, and its SHA-256 compared with the header's, before this event. */
  | { readonly kind: 'masked'; readonly header: MaskedHeader }
  /** In the place of a vector. */
  | { readonly kind: 'complaint'; readonly message: Complaint }
  | { readonly kind: 'confirmation'; readonly message: Confirmation }
  | { readonly kind: 'release'; readonly message: Release };

const ORDER: readonly CoordinatorPhase[] = [
  'advertise',
  'share',
  'mask',
  'confirm',
  'release',
  'complete',
  'aborted',
];

/**
 * The state with one more message. An exact repeat of an accepted message, at any time, gives the
 * same state object back.
 *
 * Throws SECAGG_SESSION_MISMATCH, SECAGG_MESSAGE_MALFORMED, SECAGG_SILO_UNKNOWN, SECAGG_LATE,
 * SECAGG_OUT_OF_ORDER, SECAGG_SILO_ABSENT (was not in the step before), SECAGG_SIGNATURE_INVALID,
 * SECAGG_CONFLICT (another message was accepted), and by kind SECAGG_KEY_WEAK, SECAGG_KEY_REUSED,
 * SECAGG_SHARERS_INVALID, SECAGG_EQUIVOCATION, SECAGG_RELEASE_INVALID, SECAGG_COMPLAINT_FALSE. A
 * complaint that holds ends the session: it is `aborted`, and nothing has been learned.
 */
export function accept(
  terms: SessionTerms,
  state: CoordinatorState,
  event: CoordinatorEvent,
): CoordinatorState {
  checkSession(terms, state);
  switch (event.kind) {
    case 'advert':
      return acceptAdvert(terms, state, decodeAdvert(event.message));
    case 'shares':
      return acceptShares(terms, state, decodeSharesMessage(event.message));
    case 'masked':
      return acceptMasked(terms, state, decodeMaskedHeader(event.header));
    case 'complaint':
      return acceptComplaint(terms, state, decodeComplaint(event.message));
    case 'confirmation':
      return acceptConfirmation(terms, state, decodeConfirmation(event.message));
    case 'release':
      return acceptRelease(terms, state, decodeRelease(event.message));
  }
}

interface Signed {
  readonly silo: number;
  readonly signature: Uint8Array;
}

/** How one kind of message enters the state. */
interface Entrance<Message extends Signed> {
  readonly phase: CoordinatorPhase;
  readonly accepted: readonly Message[];
  /** Who may send it; undefined for the whole roster. */
  readonly eligible: readonly number[] | undefined;
  readonly bytes: (message: Message) => Uint8Array;
  /** Everything that is wrong with a new, correctly signed message. */
  readonly check: (message: Message) => void;
}

/** The list with `message` in its place, or undefined for a repeat. */
function enter<Message extends Signed>(
  terms: SessionTerms,
  state: CoordinatorState,
  entrance: Entrance<Message>,
  message: Message,
): readonly Message[] | undefined {
  const { phase, accepted, eligible, bytes, check } = entrance;
  rosterEntry(terms, message.silo);
  const earlier = accepted.find((candidate) => candidate.silo === message.silo);
  if (earlier !== undefined && sameMessage(bytes, earlier, message)) return undefined;
  const ahead = ORDER.indexOf(phase) - ORDER.indexOf(state.phase);
  const where = `${phase} message of silo ${message.silo} in phase ${state.phase}`;
  if (ahead < 0) throw new MedleyError('SECAGG_LATE', where);
  if (ahead > 0) throw new MedleyError('SECAGG_OUT_OF_ORDER', where);
  if (eligible?.includes(message.silo) === false)
    throw new MedleyError('SECAGG_SILO_ABSENT', where);
  checkSignature(terms, phase, message, bytes(message));
  if (earlier !== undefined) throw new MedleyError('SECAGG_CONFLICT', where);
  check(message);
  return [...accepted, message].sort((a, b) => a.silo - b.silo);
}

function acceptAdvert(
  terms: SessionTerms,
  state: CoordinatorState,
  message: Advert,
): CoordinatorState {
  const { sid } = state;
  const entrance: Entrance<Advert> = {
    phase: 'advertise',
    accepted: state.adverts,
    eligible: undefined,
    bytes: (advert) => advertBytes(sid, advert),
    check: (advert) => {
      checkAdvert({ terms, sid }, advert);
      checkDistinct([...state.adverts, advert]);
    },
  };
  const adverts = enter(terms, state, entrance, message);
  return adverts === undefined ? state : { ...state, adverts };
}

function acceptShares(
  terms: SessionTerms,
  state: CoordinatorState,
  message: SharesMessage,
): CoordinatorState {
  const advertisers = state.adverts.map((advert) => advert.silo);
  const entrance: Entrance<SharesMessage> = {
    phase: 'share',
    accepted: state.shares,
    eligible: advertisers,
    bytes: (shares) => signedShares(state.sid, shares),
    check: ({ silo, boxes }) => {
      const others = advertisers.filter((other) => other !== silo);
      if (
        !sameIndices(
          boxes.map((box) => box.to),
          others,
        )
      ) {
        throw new MedleyError('SECAGG_SHARERS_INVALID', `boxes of silo ${silo}: not one for each`);
      }
    },
  };
  const shares = enter(terms, state, entrance, message);
  return shares === undefined ? state : { ...state, shares };
}

function acceptMasked(
  terms: SessionTerms,
  state: CoordinatorState,
  message: MaskedHeader,
): CoordinatorState {
  const { sid } = state;
  const sharers = sharersOf(state);
  const entrance: Entrance<MaskedHeader> = {
    phase: 'mask',
    accepted: state.headers,
    eligible: sharers,
    bytes: (header) => maskedBytes(sid, header),
    check: ({ silo, sharersHash }) => {
      if (!equalBytes(sharersHash, setHash(sid, sharers))) {
        throw new MedleyError('SECAGG_EQUIVOCATION', `silo ${silo} masked for other sharers`);
      }
    },
  };
  const headers = enter(terms, state, entrance, message);
  return headers === undefined ? state : { ...state, headers };
}

function acceptComplaint(
  terms: SessionTerms,
  state: CoordinatorState,
  message: Complaint,
): CoordinatorState {
  const { sid, headers } = state;
  const entrance: Entrance<Complaint> = {
    phase: 'mask',
    accepted: state.complaints,
    eligible: sharersOf(state),
    bytes: (complaint) => complaintBytes(sid, complaint),
    check: (complaint) => {
      if (headers.some(({ silo }) => silo === complaint.silo)) {
        throw new MedleyError('SECAGG_CONFLICT', `silo ${complaint.silo} has masked its vector`);
      }
      judge({ terms, sid }, evidenceOf(state, complaint));
    },
  };
  const complaints = enter(terms, state, entrance, message);
  if (complaints === undefined) return state;
  // The secrets of the accused cannot be counted on for the sum, and nobody has released a share yet.
  const reason = `silo ${message.about} sent silo ${message.silo} a box that does not open`;
  const abort = { code: 'SECAGG_BOX_INVALID', phase: 'mask', reason } as const;
  return { ...state, complaints, phase: 'aborted', abort };
}

function acceptConfirmation(
  terms: SessionTerms,
  state: CoordinatorState,
  message: Confirmation,
): CoordinatorState {
  const { sid } = state;
  const sets = { sharers: sharersOf(state), survivors: survivorsOf(state) };
  const entrance: Entrance<Confirmation> = {
    phase: 'confirm',
    accepted: state.confirmations,
    eligible: sets.survivors,
    bytes: (confirmation) => confirmationBytes(sid, confirmation),
    check: (confirmation) => checkConfirmation({ terms, sid }, sets, confirmation),
  };
  const confirmations = enter(terms, state, entrance, message);
  return confirmations === undefined ? state : { ...state, confirmations };
}

function acceptRelease(
  terms: SessionTerms,
  state: CoordinatorState,
  message: Release,
): CoordinatorState {
  const { sid } = state;
  const survivors = survivorsOf(state);
  const dropped = sharersOf(state).filter((silo) => !survivors.includes(silo));
  const isCommitted = (kind: SecretKind, to: number, { of, share }: ShareOf): boolean => {
    const committed = committedHash(state, kind, { from: of, to });
    const address = { from: of, to };
    return committed !== undefined && equalBytes(committed, shareHash(sid, kind, address, share));
  };
  const entrance: Entrance<Release> = {
    phase: 'release',
    accepted: state.releases,
    eligible: survivors,
    bytes: (release) => releaseBytes(state.sid, release),
    check: ({ silo, seedShares, keyShares }) => {
      const right =
        sameIndices(
          seedShares.map(({ of }) => of),
          survivors,
        ) &&
        sameIndices(
          keyShares.map(({ of }) => of),
          dropped,
        ) &&
        // Before it masked, the silo compared its shares with these hashes or complained.
        seedShares.every((entry) => isCommitted('seed', silo, entry)) &&
        keyShares.every((entry) => isCommitted('key', silo, entry)) &&
        [...seedShares, ...keyShares].every(({ share }) => isFieldElement(share));
      if (!right)
        throw new MedleyError('SECAGG_RELEASE_INVALID', `shares released by silo ${silo}`);
    },
  };
  const releases = enter(terms, state, entrance, message);
  return releases === undefined ? state : { ...state, releases };
}

function sameIndices(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((index, i) => index === b[i]);
}
