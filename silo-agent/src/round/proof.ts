import {
  canonicalBytes,
  equalBytes,
  isMedleyError,
  MedleyError,
  sha256,
  toHex,
  type Json,
} from '@medley/kit';
import { leafHash, openCheckpoint, parseVerifierKey, verifyInclusion } from '@medley/merkle';
import {
  decodeReceipt,
  deserializeSharing,
  judgeSharing,
  sessionId,
  unpackVector,
  verifyReceipt,
  type RoundReceipt,
  type SessionTerms,
} from '@medley/secagg';
import {
  decodeModelState,
  encodeModelState,
  settleRound,
  unopenedRound,
  type Charter,
  type RoundKind,
  type Study,
} from '@medley/study';
import { decodeEvent, type EventOf } from '@medley/trail';
import type { SeenCheckpoint } from './progress.ts';
import type { ClosedRound } from './task.ts';

/** A closed round and what this side knows itself. */
export interface ClosedClaim {
  /** Derived here from the signed charter; never from the wire. */
  readonly terms: SessionTerms;
  readonly study: Study;
  readonly charter: Charter;
  readonly kind: RoundKind;
  readonly closed: ClosedRound;
  /** Bytes of the state that the round started from; their hash is `terms.modelHash`. */
  readonly state: Uint8Array;
  /** Bytes of the opened sum, or of the evidence why it cannot be opened. */
  readonly aggregate: Uint8Array;
  /** Newest checkpoint seen before. */
  readonly seen: SeenCheckpoint | undefined;
}

/** What follows from a closed round that holds. */
export interface VerifiedRound {
  readonly receipt: RoundReceipt;
  /** Encoded model state after the round, computed here. */
  readonly nextState: Uint8Array;
  readonly nextModelHash: string;
  readonly metrics: Json;
  readonly checkpoint: SeenCheckpoint;
}

/**
 * Believes a closed round only after checking all of it: at least t roster signatures over these very
 * sets in this very session; the sum has the receipt's hash; the log's leaf says the same; the leaf is
 * in the tree under a checkpoint that the charter's log key signed; and the next model state, computed
 * here from the sum, has the recorded hash (design: secure aggregation, "silos verify before they load
 * the next model").
 *
 * Throws ROUND_PROOF_INVALID with the fault as its cause, ROUND_LOG_FORKED, ROUND_RESULT_MISMATCH.
 */
export function verifyClosed(claim: ClosedClaim): VerifiedRound {
  const receipt = proven('receipt', () => receiptOf(claim));
  const leaf = proven('audit leaf', () => leafOf(claim));
  const checkpoint = proven('inclusion in the log', () => checkpointOf(claim));
  checkContinuity(checkpoint, claim.seen);
  return { receipt, checkpoint, ...resultOf(claim, leaf) };
}

function receiptOf({ closed, terms, aggregate }: ClosedClaim): RoundReceipt {
  const value: unknown = JSON.parse(
    new TextDecoder('utf-8', { fatal: true }).decode(closed.receipt),
  );
  check(equalBytes(canonicalBytes(value), closed.receipt), 'the receipt is not canonical JSON');
  const receipt = decodeReceipt(value);
  verifyReceipt(terms, receipt);
  check(equalBytes(receipt.aggregateHash, sha256(aggregate)), 'the receipt is about another sum');
  return receipt;
}

function leafOf({ closed, terms, kind, charter }: ClosedClaim): EventOf<'round.closed'> {
  const event = decodeEvent(closed.proof.leaf);
  if (event.type !== 'round.closed')
    throw new MedleyError('ROUND_PROOF_INVALID', `a leaf of type ${event.type}`);
  const { data } = event;
  check(
    event.consortium === charter.consortium && event.study === terms.study,
    'a leaf of another study',
  );
  check(event.round === terms.round && event.attempt === terms.attempt, 'a leaf of another round');
  check(
    data.kind === kind && data.modelHash === terms.modelHash,
    'a leaf of another kind or model',
  );
  check(equalBytes(canonicalBytes(data.receipt), closed.receipt), 'the leaf holds another receipt');
  check(data.aggregateHash === closed.aggregate.hex, 'the leaf names another sum');
  check(data.nextModelHash === closed.nextModel.hex, 'the leaf names another next model');
  return event;
}

function checkpointOf({ closed, charter }: ClosedClaim): SeenCheckpoint {
  const { proof } = closed;
  const head = openCheckpoint(proof.checkpoint, [parseVerifierKey(charter.log.verifierKey)]);
  check(head.origin === charter.log.origin, 'a checkpoint of another log');
  const { size, root } = head;
  const path = proof.path.map((hash) => new Uint8Array(hash));
  verifyInclusion({ leafHash: leafHash(proof.leaf), index: proof.index, size, root, proof: path });
  return { size, root };
}

/** Full consistency is the auditors' proof; a log that shrinks or has two roots at one size needs none. */
function checkContinuity(now: SeenCheckpoint, seen: SeenCheckpoint | undefined): void {
  if (!seen) return;
  if (now.size < seen.size || (now.size === seen.size && !equalBytes(now.root, seen.root))) {
    throw new MedleyError(
      'ROUND_LOG_FORKED',
      `checkpoint of size ${String(now.size)} after ${String(seen.size)}`,
    );
  }
}

function resultOf(
  { terms, study, charter, kind, state, aggregate }: ClosedClaim,
  leaf: EventOf<'round.closed'>,
): Pick<VerifiedRound, 'nextState' | 'nextModelHash' | 'metrics'> {
  const computed = proven('sum', () => {
    const before = decodeModelState(state);
    const unopened = deserializeSharing(aggregate);
    if (unopened && kind !== 'statistics') {
      // Without a conviction the aggregator might have opened the sum, and be after another one.
      judgeSharing({ terms, sid: sessionId(terms) }, unopened);
      return unopenedRound({ kind, state: before });
    }
    const sum = unpackVector(terms.layout, aggregate);
    return settleRound({ study, charter, kind, state: before, sum });
  });
  const bytes = encodeModelState(computed.state);
  const nextModelHash = toHex(sha256(bytes));
  if (nextModelHash !== leaf.data.nextModelHash) {
    throw new MedleyError(
      'ROUND_RESULT_MISMATCH',
      `computed ${nextModelHash}, recorded ${leaf.data.nextModelHash}`,
    );
  }
  return { nextState: bytes, nextModelHash, metrics: computed.metrics };
}

function proven<T>(what: string, verify: () => T): T {
  try {
    return verify();
  } catch (cause) {
    const why = isMedleyError(cause) ? `${cause.code}: ${cause.message}` : 'malformed';
    throw new MedleyError('ROUND_PROOF_INVALID', `${what}: ${why}`, { cause });
  }
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new MedleyError('ROUND_PROOF_INVALID', what);
}
