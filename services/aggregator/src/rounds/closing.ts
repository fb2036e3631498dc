import { canonicalBytes, isMedleyError, sha256 } from '@medley/kit';
import {
  brokenSharers,
  makeReceipt,
  receiptToJson,
  packVector,
  serializeSharing,
  sharingEvidence,
  type Blame,
  type SessionTerms,
} from '@medley/secagg';
import {
  decodeModelState,
  encodeModelState,
  lastRound,
  settleRound,
  unopenedRound,
  type GateReason,
} from '@medley/study';
import type { Change } from '../log/ledger.ts';
import { exclude } from '../studies/exclusion.ts';
import type { Agreement } from '../studies/agreement.ts';
import type { BlobName, RoundOutcome } from '../store/rows.ts';
import { studyOf } from '../studies/desk.ts';
import type { RoundParts } from './book.ts';
import { eventOf } from './record.ts';
import { sharedBrokenly, type RoundState } from './round.ts';
import { openSum } from './unmask.ts';

/** What opening a round's sum gave; nothing of it is stored yet but the blobs. */
export interface Opening {
  readonly receipt: ReturnType<typeof receiptToJson>;
  readonly aggregate: BlobName;
  readonly nextModel: BlobName;
  readonly metrics: Uint8Array;
  readonly blamed: readonly Blame[];
  /** Why the model did not take the update, if it did not. */
  readonly gate: GateReason | undefined;
}

/**
 * Opens the sum of a round and computes the next model state: the same bytes every time, so that a
 * restart may do it again. Throws what {@link openSum} and `nextState` throw, FILE_UNWRITABLE, and
 * BLOB_DAMAGED when the model state that the round began with has changed on the disk.
 */
async function openRoundSum(
  state: RoundState,
  terms: SessionTerms,
  { charter, study }: Agreement,
  { blobs, masker }: Pick<RoundParts, 'blobs' | 'masker'>,
): Promise<Opening> {
  const before = decodeModelState(await blobs.readAll(state.model.hash));
  const { sum, blamed } = await openSum(terms, state.coordinator, blobs, masker);
  const after = settleRound({ study, charter, kind: state.kind, state: before, sum });
  const words = packVector(terms.layout, sum);
  return {
    receipt: receiptToJson(makeReceipt(terms, state.coordinator, sha256(words))),
    aggregate: await blobs.write(words),
    nextModel: await blobs.write(encodeModelState(after.state)),
    metrics: canonicalBytes(after.metrics),
    gate: after.gate,
    blamed,
  };
}

/**
 * The end of a round whose sum cannot be opened because a silo's shares are not of its secrets: the
 * evidence stands in the place of the sum, and the model stays. Undefined where a round cannot end so:
 * nothing follows from a statistics round that was not opened.
 */
async function closeUnopened(
  state: RoundState,
  terms: SessionTerms,
  { blobs }: Pick<RoundParts, 'blobs'>,
): Promise<Opening | undefined> {
  if (state.kind === 'statistics') return undefined;
  const broken = brokenSharers(terms, state.coordinator);
  const [first] = broken;
  if (first === undefined) return undefined;
  const evidence = serializeSharing(sharingEvidence(terms, state.coordinator, first));
  const before = decodeModelState(await blobs.readAll(state.model.hash));
  const { metrics, gate } = unopenedRound({ kind: state.kind, state: before });
  return {
    receipt: receiptToJson(makeReceipt(terms, state.coordinator, sha256(evidence))),
    aggregate: await blobs.write(evidence),
    nextModel: state.model,
    metrics: canonicalBytes(metrics),
    gate,
    blamed: broken.map((silo) => ({ silo, reason: 'its shares do not give back its secret' })),
  };
}

/**
 * The end of a round whose messages are all there: its opened sum, or the evidence why nobody can open it.
 * The same bytes every time. Throws what {@link openRoundSum} throws.
 */
export async function endRound(
  state: RoundState,
  terms: SessionTerms,
  agreement: Agreement,
  parts: Pick<RoundParts, 'blobs' | 'masker'>,
): Promise<Opening> {
  try {
    return await openRoundSum(state, terms, agreement, parts);
  } catch (caught) {
    const isUnopened = isMedleyError(caught) && caught.code === 'SECAGG_UNMASK_FAILED';
    const unopened = isUnopened ? await closeUnopened(state, terms, parts) : undefined;
    if (unopened) return unopened;
    throw caught;
  }
}

/** Records the opened sum, moves the study to its next model state and ends it after its last round. */
export async function recordClosing(
  change: Change,
  state: RoundState,
  { charter, study }: Agreement,
  opening: Opening,
  nowMs: number,
): Promise<RoundOutcome> {
  const { tables, record } = change;
  const actor = { kind: 'aggregator', id: 'aggregator' } as const;
  for (const { silo } of opening.blamed) {
    const note = sharedBrokenly(silo);
    await record(eventOf(note, state, charter));
    await exclude(change, charter, state.id, note, nowMs);
  }
  if (opening.gate !== undefined) {
    await record({
      type: 'model.rolledback',
      actor,
      outcome: 'failed',
      ...state.id,
      data: {
        reason: opening.gate,
        modelHash: state.model.hash,
        nextModelHash: opening.nextModel.hash,
      },
    });
  }
  const leafIndex = await record({
    type: 'round.closed',
    actor,
    outcome: 'ok',
    ...state.id,
    data: {
      kind: state.kind,
      receipt: opening.receipt,
      aggregateHash: opening.aggregate.hash,
      modelHash: state.model.hash,
      nextModelHash: opening.nextModel.hash,
    },
  });
  const row = await studyOf(tables, state.id.study);
  // A silo that was blamed may have been one too many.
  const isLast = state.id.round === lastRound(study) && row.state === 'active';
  await tables.studies.put({
    ...row,
    modelState: opening.nextModel,
    ...(isLast && { state: 'completed', endedMs: nowMs }),
  });
  if (isLast) {
    await record({
      type: 'study.completed',
      actor,
      outcome: 'ok',
      study: study.name,
      data: { modelHash: opening.nextModel.hash, rounds: study.rounds.count },
    });
  }
  const { aggregate, nextModel, metrics } = opening;
  return { receipt: canonicalBytes(opening.receipt), aggregate, nextModel, metrics, leafIndex };
}
