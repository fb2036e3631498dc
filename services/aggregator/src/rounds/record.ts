import { toBase64 } from '@medley/kit';
import { encodeState } from './codec.ts';
import type { RoundNote, RoundState } from './round.ts';
import type { EventDraft } from '../log/ledger.ts';
import type { RoundOutcome, RoundRow } from '../store/rows.ts';
import { memberName } from '../studies/agreement.ts';
import type { Charter } from '@medley/study';

/** Bytes of messages and blobs so far. */
export interface ByteCount {
  readonly up: number;
  readonly down: number;
}

/** What a closed round has besides. */
export interface Ending {
  readonly outcome?: RoundOutcome;
  /** Whether the protocol's messages stay, for a replay. */
  readonly keepMessages?: boolean;
}

/** The row that keeps a round. */
export function rowOf(
  state: RoundState,
  bytes: ByteCount,
  nowMs: number,
  { outcome, keepMessages = false }: Ending = {},
): RoundRow {
  const hasEnded = state.step === 'closed' || state.step === 'aborted';
  return {
    ...state.id,
    kind: state.kind,
    step: state.step,
    openedMs: state.openedMs,
    closedMs: hasEnded ? nowMs : undefined,
    model: state.model,
    state: encodeState(state, keepMessages),
    outcome,
    abortCode: state.abortCode,
    bytesUp: bytes.up,
    bytesDown: bytes.down,
  };
}

/** What the audit log says of a note. */
export function eventOf(note: RoundNote, state: RoundState, charter: Charter): EventDraft {
  const actor = { kind: 'aggregator', id: 'aggregator' } as const;
  switch (note.kind) {
    case 'dropped': {
      const data = { silo: memberName(charter, note.silo), step: note.step };
      return { type: 'round.dropped', actor, outcome: 'ok', ...state.id, data };
    }
    case 'refused': {
      const data = { silo: memberName(charter, note.silo), step: note.step, code: note.code };
      return { type: 'message.refused', actor, outcome: 'refused', ...state.id, data };
    }
    case 'blamed': {
      const { step, code, evidence } = note;
      const silo = memberName(charter, note.silo);
      const data = { silo, step, code, ...(evidence && { evidence: toBase64(evidence) }) };
      return { type: 'round.blamed', actor, outcome: 'failed', ...state.id, data };
    }
    case 'aborted': {
      const retried = state.id.attempt < charter.secureAggregation.maxAttempts;
      const data = { reason: note.code, retried };
      return { type: 'round.aborted', actor, outcome: 'failed', ...state.id, data };
    }
  }
}
