import { concatBytes, isErrorCode, MedleyError, toBase64, utf8 } from '@medley/kit';
import {
  deserializeCoordinator,
  serializeCoordinator,
  type CoordinatorState,
  type SessionTerms,
} from '@medley/secagg';
import { membersOf, type RoundState } from './round.ts';
import type { RoundRow } from '../store/rows.ts';

/** What is kept of a round's course, running or ended; silos by index. */
export interface RoundCourse {
  readonly pace: RoundState['pace'];
  readonly deadlineMs: number;
  readonly steps: RoundState['steps'];
  readonly withdrawn: RoundState['withdrawn'];
  readonly dropped: RoundState['dropped'];
  readonly refusals: RoundState['refusals'];
  readonly sharers: readonly number[];
  readonly survivors: readonly number[];
  /** Base64 signatures of the accepted messages; they tell a repeat after the end. */
  readonly signatures: readonly string[];
}

const FORMAT = 'medley/round/v1';

/**
 * The state as bytes: length of the course (uint32, big-endian), the course as JSON, the coordinator
 * while the round runs. Boxes and shares of an ended round are not kept, unless `keepMessages` keeps
 * those of a closed one for a replay.
 */
export function encodeState(state: RoundState, keepMessages = false): Uint8Array {
  const hasEnded = state.step === 'closed' || state.step === 'aborted';
  const { pace, deadlineMs, steps, withdrawn, dropped, refusals } = state;
  const course: RoundCourse = {
    pace,
    deadlineMs,
    steps,
    withdrawn,
    dropped,
    refusals,
    ...membersOf(state),
    signatures: hasEnded ? signaturesOf(state.coordinator) : [],
  };
  const head = utf8(JSON.stringify({ format: FORMAT, ...course }));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length);
  const isKept = !hasEnded || (keepMessages && state.step === 'closed');
  const tail = isKept ? serializeCoordinator(state.coordinator) : new Uint8Array();
  return concatBytes(length, head, tail);
}

/** The course of a stored round. Throws STORE_UNUSABLE for bytes that this program did not write. */
export function decodeCourse(bytes: Uint8Array): RoundCourse {
  return split(bytes).course;
}

/** True when a stored round still has the protocol's messages. Throws STORE_UNUSABLE. */
export function hasMessages(bytes: Uint8Array): boolean {
  return split(bytes).tail.length > 0;
}

/** A round that runs, or whose messages were kept, from its row. Throws STORE_UNUSABLE and what `deserializeCoordinator` throws. */
export function decodeState(row: RoundRow, terms: SessionTerms): RoundState {
  const { course, tail } = split(row.state);
  const { pace, deadlineMs, steps, withdrawn, dropped, refusals } = course;
  return {
    id: { study: row.study, round: row.round, attempt: row.attempt },
    kind: row.kind,
    model: row.model,
    pace,
    step: row.step,
    openedMs: row.openedMs,
    deadlineMs,
    steps,
    coordinator: deserializeCoordinator(tail, terms),
    withdrawn,
    dropped,
    refusals,
    abortCode:
      row.abortCode !== undefined && isErrorCode(row.abortCode) ? row.abortCode : undefined,
  };
}

/** True when a message with this signature was accepted in the ended round. */
export function wasAccepted(course: RoundCourse, signature: Uint8Array): boolean {
  return course.signatures.includes(toBase64(signature));
}

function split(bytes: Uint8Array): { readonly course: RoundCourse; readonly tail: Uint8Array } {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = 4 + view.getUint32(0);
    const course = JSON.parse(new TextDecoder().decode(bytes.subarray(4, end))) as RoundCourse & {
      readonly format: unknown;
    };
    if (course.format !== FORMAT) throw new Error('other format');
    return { course, tail: bytes.subarray(end) };
  } catch (cause) {
    throw new MedleyError('STORE_UNUSABLE', 'the stored state of a round is not readable', {
      cause,
    });
  }
}

function signaturesOf(state: CoordinatorState): string[] {
  const { adverts, shares, headers, complaints, confirmations, releases } = state;
  const messages = [adverts, shares, headers, complaints, confirmations, releases].flat();
  return messages.map(({ signature }) => toBase64(signature));
}
