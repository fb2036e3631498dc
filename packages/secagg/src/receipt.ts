import {
  MedleyError,
  equalBytes,
  fromBase64,
  fromHex,
  toBase64,
  toHex,
  type Json,
} from '@medley/kit';
import { quorum, sessionId, termsHash, type SessionTerms } from './session.ts';
import { sharersOf, survivorsOf, type CoordinatorState } from './coordinator/state.ts';
import { checkConfirmations } from './wire/confirmations.ts';
import { listOf, recordOf, siloSetOf } from './wire/fields.ts';
import { decodeConfirmation, type Confirmation } from './wire/messages.ts';

/** What a closed round proves to silos and auditors: who is in the sum, and that they agreed on it. */
export interface RoundReceipt {
  readonly sid: Uint8Array;
  /** Lower-case hex, {@link termsHash}. */
  readonly termsHash: string;
  /** U1, ascending. */
  readonly sharers: readonly number[];
  /** U2, ascending. */
  readonly survivors: readonly number[];
  /** At least t, of members of U2, ascending by silo. */
  readonly confirmations: readonly Confirmation[];
  /** SHA-256 of the unmasked sum's wire form, 32 bytes. */
  readonly aggregateHash: Uint8Array;
}

/** The receipt of a `complete` session. Throws SECAGG_OUT_OF_ORDER before. */
export function makeReceipt(
  terms: SessionTerms,
  state: CoordinatorState,
  aggregateHash: Uint8Array,
): RoundReceipt {
  if (state.phase !== 'complete') {
    throw new MedleyError('SECAGG_OUT_OF_ORDER', `a receipt in phase ${state.phase}`);
  }
  return {
    sid: state.sid,
    termsHash: termsHash(terms),
    sharers: sharersOf(state),
    survivors: survivorsOf(state),
    confirmations: state.confirmations,
    aggregateHash,
  };
}

/**
 * Checks a receipt against terms that the caller derived itself: the session is this one, U2 ⊆ U1 ⊆
 * roster, |U2| ≥ max(t, minSurvivors), and at least t distinct members of U2 signed exactly these
 * sets. Whether the aggregate has this hash is for the caller to compare.
 * Throws SECAGG_RECEIPT_INVALID, with the precise fault as its cause.
 */
export function verifyReceipt(terms: SessionTerms, receipt: RoundReceipt): void {
  const fault = (what: string, cause?: unknown) =>
    new MedleyError('SECAGG_RECEIPT_INVALID', what, { cause });
  const { sharers, survivors } = receipt;
  const sid = sessionId(terms);
  if (!equalBytes(receipt.sid, sid) || receipt.termsHash !== termsHash(terms)) {
    throw fault('the receipt is of another session');
  }
  try {
    siloSetOf(sharers, 'sharers');
    siloSetOf(survivors, 'survivors');
    if (sharers.some((silo) => silo > terms.roster.length))
      throw fault('a sharer not on the roster');
    if (survivors.some((silo) => !sharers.includes(silo)))
      throw fault('a survivor that never shared');
    if (survivors.length < quorum(terms)) throw fault(`only ${survivors.length} survivors`);
    checkConfirmations({ terms, sid }, { sharers, survivors }, receipt.confirmations);
  } catch (cause) {
    if (cause instanceof MedleyError && cause.code === 'SECAGG_RECEIPT_INVALID') throw cause;
    throw fault('the confirmations do not prove the sets', cause);
  }
}

/** The receipt as a JSON document: hashes in hex, signatures in base64. */
export function receiptToJson(receipt: RoundReceipt): { readonly [key: string]: Json } {
  return {
    sid: toHex(receipt.sid),
    termsHash: receipt.termsHash,
    sharers: receipt.sharers,
    survivors: receipt.survivors,
    confirmations: receipt.confirmations.map((confirmation) => ({
      silo: confirmation.silo,
      survivorsHash: toHex(confirmation.survivorsHash),
      sharersHash: toHex(confirmation.sharersHash),
      signature: toBase64(confirmation.signature),
    })),
    aggregateHash: toHex(receipt.aggregateHash),
  };
}

/** The inverse of {@link receiptToJson}, for documents from the wire. Throws SECAGG_RECEIPT_INVALID. */
export function decodeReceipt(value: unknown): RoundReceipt {
  try {
    const fields = recordOf(value, 'receipt');
    return {
      sid: hexOf(fields['sid']),
      termsHash: toHex(hexOf(fields['termsHash'])),
      sharers: siloSetOf(fields['sharers'], 'sharers'),
      survivors: siloSetOf(fields['survivors'], 'survivors'),
      confirmations: listOf(fields['confirmations'], 'confirmations', (item, what) => {
        const entry = recordOf(item, what);
        return decodeConfirmation({
          silo: entry['silo'],
          survivorsHash: hexOf(entry['survivorsHash']),
          sharersHash: hexOf(entry['sharersHash']),
          signature: typeof entry['signature'] === 'string' ? fromBase64(entry['signature']) : null,
        });
      }),
      aggregateHash: hexOf(fields['aggregateHash']),
    };
  } catch (cause) {
    throw new MedleyError('SECAGG_RECEIPT_INVALID', 'not the form of a receipt', { cause });
  }
}

function hexOf(value: unknown): Uint8Array {
  const bytes = typeof value === 'string' ? fromHex(value) : undefined;
  if (bytes?.length !== 32)
    throw new MedleyError('SECAGG_RECEIPT_INVALID', 'a hash is not 32 bytes');
  return bytes;
}
