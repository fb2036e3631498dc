import { MedleyError, isErrorCode } from '@medley/kit';
import type { SessionTerms } from '../session.ts';
import { bytesOf, listOf, recordOf } from '../wire/fields.ts';
import { fromJsonBytes, toJsonBytes } from '../wire/json.ts';
import {
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeSharesMessage,
} from '../wire/messages.ts';
import { checkSession, type Abort, type CoordinatorPhase, type CoordinatorState } from './state.ts';

const FORMAT = 'medley/secagg/v1/coordinator';
const PHASES: readonly unknown[] = [
  'advertise',
  'share',
  'mask',
  'confirm',
  'release',
  'complete',
  'aborted',
] satisfies CoordinatorPhase[];

/** The state as UTF-8 JSON, without the terms but bound to them by the session id. */
export function serializeCoordinator(state: CoordinatorState): Uint8Array {
  return toJsonBytes({ format: FORMAT, ...state });
}

/**
 * The inverse of {@link serializeCoordinator}. Throws SECAGG_STATE_INVALID for bytes that are no
 * such state, SECAGG_SESSION_MISMATCH when they belong to other terms.
 */
export function deserializeCoordinator(bytes: Uint8Array, terms: SessionTerms): CoordinatorState {
  const state = decodeState(bytes);
  checkSession(terms, state);
  return state;
}

function decodeState(bytes: Uint8Array): CoordinatorState {
  try {
    const fields = recordOf(fromJsonBytes(bytes), 'state');
    if (fields['format'] !== FORMAT) throw new MedleyError('SECAGG_STATE_INVALID', 'other format');
    return {
      phase: phaseOf(fields['phase']),
      sid: bytesOf(fields['sid'], 32, 'sid'),
      adverts: listOf(fields['adverts'], 'adverts', decodeAdvert),
      shares: listOf(fields['shares'], 'shares', decodeSharesMessage),
      headers: listOf(fields['headers'], 'headers', decodeMaskedHeader),
      complaints: listOf(fields['complaints'], 'complaints', decodeComplaint),
      confirmations: listOf(fields['confirmations'], 'confirmations', decodeConfirmation),
      releases: listOf(fields['releases'], 'releases', decodeRelease),
      abort: fields['abort'] === null ? null : abortOf(fields['abort']),
    };
  } catch (cause) {
    throw new MedleyError('SECAGG_STATE_INVALID', 'the stored state of a coordinator', { cause });
  }
}

function phaseOf(value: unknown): CoordinatorPhase {
  if (!isPhase(value)) throw new MedleyError('SECAGG_STATE_INVALID', 'unknown phase');
  return value;
}

function isPhase(value: unknown): value is CoordinatorPhase {
  return PHASES.includes(value);
}

function abortOf(value: unknown): Abort {
  const { code, phase, reason } = recordOf(value, 'abort');
  if (typeof code !== 'string' || !isErrorCode(code) || typeof reason !== 'string') {
    throw new MedleyError('SECAGG_STATE_INVALID', 'abort');
  }
  return { code, phase: phaseOf(phase), reason };
}
