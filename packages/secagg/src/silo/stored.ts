import { MedleyError, equalBytes } from '@medley/kit';
import { sessionId, type SessionTerms } from '../session.ts';
import { bytesOf, indexOf, listOf, recordOf, siloSetOf } from '../wire/fields.ts';
import { fromJsonBytes, toJsonBytes } from '../wire/json.ts';
import {
  decodeAdvert,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeSharesMessage,
  shareListOf,
} from '../wire/messages.ts';
import type { SiloState } from './state.ts';

const FORMAT = 'medley/secagg/v1/silo';

/** The state as UTF-8 JSON, without the terms but bound to them by the session id. Secret. */
export function serializeSilo(state: SiloState): Uint8Array {
  return toJsonBytes({ format: FORMAT, ...state, terms: undefined });
}

/**
 * The inverse of {@link serializeSilo}. Throws SECAGG_STATE_INVALID for bytes that are no such
 * state, SECAGG_SESSION_MISMATCH when they belong to other terms.
 */
export function deserializeSilo(bytes: Uint8Array, terms: SessionTerms): SiloState {
  try {
    const fields = recordOf(fromJsonBytes(bytes), 'state');
    const sid = bytesOf(fields['sid'], 32, 'sid');
    if (!equalBytes(sid, sessionId(terms))) {
      throw new MedleyError('SECAGG_SESSION_MISMATCH', 'the stored state is of another session');
    }
    if (fields['format'] !== FORMAT) throw new MedleyError('SECAGG_STATE_INVALID', 'other format');
    return { terms, sid, me: indexOf(fields['me'], 'me'), ...phaseFields(fields) };
  } catch (cause) {
    if (cause instanceof MedleyError && cause.code !== 'SECAGG_MESSAGE_MALFORMED') throw cause;
    throw new MedleyError('SECAGG_STATE_INVALID', 'the stored state of a silo', { cause });
  }
}

type PhaseFields = SiloState extends infer State
  ? State extends SiloState
    ? Omit<State, 'terms' | 'sid' | 'me'>
    : never
  : never;

function phaseFields(fields: Readonly<Record<string, unknown>>): PhaseFields {
  const key = (name: string) => bytesOf(fields[name], 32, name);
  const adverts = () => listOf(fields['adverts'], 'adverts', decodeAdvert);
  const set = (name: string) => siloSetOf(fields[name], name);
  const shares = () => ({
    seedShares: shareListOf(fields['seedShares'], 'seedShares'),
    keyShares: shareListOf(fields['keyShares'], 'keyShares'),
  });
  switch (fields['phase']) {
    case 'advertised':
      return {
        phase: 'advertised',
        channelPrivate: key('channelPrivate'),
        maskPrivate: key('maskPrivate'),
        advert: decodeAdvert(fields['advert']),
      };
    case 'shared':
      return {
        phase: 'shared',
        channelPrivate: key('channelPrivate'),
        maskPrivate: key('maskPrivate'),
        seed: key('seed'),
        ownSeedShare: key('ownSeedShare'),
        auditSalt: key('auditSalt'),
        adverts: adverts(),
        shares: decodeSharesMessage(fields['shares']),
      };
    case 'masked':
      return {
        phase: 'masked',
        maskPrivate: key('maskPrivate'),
        seed: key('seed'),
        auditSalt: key('auditSalt'),
        adverts: adverts(),
        sharers: set('sharers'),
        deliveryHash: key('deliveryHash'),
        ...shares(),
        header: decodeMaskedHeader(fields['header']),
      };
    case 'confirmed':
      return {
        phase: 'confirmed',
        auditSalt: key('auditSalt'),
        sharers: set('sharers'),
        survivors: set('survivors'),
        ...shares(),
        confirmation: decodeConfirmation(fields['confirmation']),
      };
    case 'released':
      return {
        phase: 'released',
        auditSalt: key('auditSalt'),
        sharers: set('sharers'),
        survivors: set('survivors'),
        release: decodeRelease(fields['release']),
      };
    default:
      throw new MedleyError('SECAGG_STATE_INVALID', 'unknown phase');
  }
}
