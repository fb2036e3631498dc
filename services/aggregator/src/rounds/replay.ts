import { canonicalBytes, equalBytes, MedleyError, sha256, toHex } from '@medley/kit';
import type { Blobs } from '../blob/blobs.ts';
import type { BlobName, RoundId } from '../store/rows.ts';
import { studyOf } from '../studies/desk.ts';
import { termsOf, type RoundParts } from './book.ts';
import { endRound } from './closing.ts';
import { decodeState, hasMessages } from './codec.ts';

/** A closed round that was computed a second time and came out the same. */
export interface Replay {
  readonly id: RoundId;
  readonly survivors: number;
  readonly aggregate: BlobName;
  readonly nextModel: BlobName;
  /** Of the round's receipt. */
  readonly receiptHash: string;
  readonly leafIndex: number;
}

/**
 * Computes a closed round again from its stored messages and masked vectors: receipt, sum, next model
 * and metrics must come out byte for byte as they were recorded. Changes nothing.
 *
 * Throws ROUND_UNKNOWN (no closed round of this number), ROUND_REPLAY_UNKEPT (its messages or vectors are
 * not there any more), ROUND_REPLAY_DIFFERS naming what differs, and what opening a sum throws.
 */
export async function replayRound(
  parts: Pick<RoundParts, 'store' | 'blobs' | 'masker' | 'agreements'>,
  study: string,
  round: number,
): Promise<Replay> {
  const { store, blobs, masker, agreements } = parts;
  const agreement = agreements.of(await studyOf(store.tables, study));
  const rows = await store.tables.rounds.of(study);
  const row = rows.find((one) => one.round === round && one.outcome !== undefined);
  if (!row?.outcome) throw new MedleyError('ROUND_UNKNOWN', `no closed round ${round} of ${study}`);
  if (!hasMessages(row.state)) throw unkept(round, 'its messages');
  const terms = termsOf(agreement, row, row.kind, row.model.hash);
  const state = decodeState(row, terms);
  for (const { vectorHash } of state.coordinator.headers) {
    if ((await blobs.sizeOf(toHex(vectorHash))) === undefined) throw unkept(round, 'a vector');
  }
  const { outcome } = row;
  const again = await endRound(state, terms, agreement, { blobs: namesOnly(blobs), masker });
  const receipt = canonicalBytes(again.receipt);
  const differing = [
    ...(equalBytes(receipt, outcome.receipt) ? [] : ['receipt']),
    ...(again.aggregate.hash === outcome.aggregate.hash ? [] : ['sum']),
    ...(again.nextModel.hash === outcome.nextModel.hash ? [] : ['next model']),
    ...(equalBytes(again.metrics, outcome.metrics) ? [] : ['metrics']),
  ];
  if (differing.length > 0)
    throw new MedleyError('ROUND_REPLAY_DIFFERS', `round ${round}: ${differing.join(', ')}`);
  return {
    id: { study, round, attempt: row.attempt },
    survivors: state.coordinator.headers.length,
    aggregate: again.aggregate,
    nextModel: again.nextModel,
    receiptHash: toHex(sha256(receipt)),
    leafIndex: outcome.leafIndex,
  };
}

/** The blobs, to which nothing is added: what is computed again needs only its name. */
function namesOnly(blobs: Blobs): Blobs {
  return {
    write: async (bytes) => ({ hash: toHex(sha256(bytes)), sizeBytes: bytes.length }),
    receive: (pieces, expected) => blobs.receive(pieces, expected),
    sizeOf: (hash) => blobs.sizeOf(hash),
    read: (hash, offset) => blobs.read(hash, offset),
    forEach: (hash, use) => blobs.forEach(hash, use),
    readAll: (hash) => blobs.readAll(hash),
    verify: (hash) => blobs.verify(hash),
    remove: (hash) => blobs.remove(hash),
  };
}

function unkept(round: number, what: string): MedleyError {
  return new MedleyError('ROUND_REPLAY_UNKEPT', `round ${round}: ${what}`);
}
