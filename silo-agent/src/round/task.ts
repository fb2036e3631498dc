import { MedleyError, toHex } from '@medley/kit';
import type {
  Advert__Output,
  BlobRef__Output,
  Confirmation__Output,
  IncomingBox__Output,
  RoundTask__Output,
} from '@medley/rpc';
import { isName } from '@medley/pki';
import type { RoundKind } from '@medley/study';

/** One run of the five steps. */
export interface RoundId {
  readonly study: string;
  readonly round: number;
  /** From 1. */
  readonly attempt: number;
}

/** Content that the aggregator holds. */
export interface BlobName {
  readonly sha256: Uint8Array;
  /** The same, lower-case hex. */
  readonly hex: string;
  readonly sizeBytes: number;
}

/** The end of a round with everything that proves it. */
export interface ClosedRound {
  readonly name: 'closed';
  /** Canonical JSON of the receipt. */
  readonly receipt: Uint8Array;
  readonly aggregate: BlobName;
  readonly nextModel: BlobName;
  readonly proof: {
    readonly leaf: Uint8Array;
    readonly index: number;
    readonly checkpoint: string;
    readonly path: readonly Uint8Array[];
  };
}

/** What the aggregator asks for. Contents of the messages inside are checked by secagg. */
export type TaskStep =
  | { readonly name: 'advertise' }
  | { readonly name: 'share'; readonly adverts: readonly Advert__Output[] }
  | {
      readonly name: 'mask';
      readonly sharers: readonly number[];
      readonly boxes: readonly IncomingBox__Output[];
    }
  | { readonly name: 'confirm'; readonly survivors: readonly number[] }
  | { readonly name: 'release'; readonly confirmations: readonly Confirmation__Output[] }
  | ClosedRound
  | { readonly name: 'aborted'; readonly reasonCode: string; readonly retried: boolean };

/** A task whose form is sound. Nothing in it is believed before {@link roundTerms} agrees. */
export interface Task {
  readonly id: RoundId;
  readonly kind: RoundKind;
  readonly charterHash: string;
  /** State that the round starts from. */
  readonly model: BlobName;
  readonly deadlineMs: number;
  readonly sessionId: Uint8Array;
  readonly step: TaskStep;
}

/** Steps in the order in which one attempt can reach them. */
const ORDER = ['advertise', 'share', 'mask', 'confirm', 'release', 'aborted', 'closed'] as const;

/** Negative when `a` comes before `b` in the life of one study, 0 for the same place. */
export function compareTasks(a: Task, b: Task): number {
  return (
    a.id.round - b.id.round ||
    a.id.attempt - b.id.attempt ||
    ORDER.indexOf(a.step.name) - ORDER.indexOf(b.step.name)
  );
}

/** Reads a task from the wire. Throws RPC_MESSAGE_INVALID naming the field, never a value. */
export function decodeTask(message: RoundTask__Output): Task {
  const { key, kind, charterHash, model } = message;
  if (!key || !isName(key.study) || key.attempt < 1) return invalid('key');
  if (kind !== 'statistics' && kind !== 'training' && kind !== 'evaluation') return invalid('kind');
  return {
    id: { study: key.study, round: key.round, attempt: key.attempt },
    kind,
    charterHash,
    model: blobOf(model, 'model'),
    deadlineMs: integerOf(message.deadlineMs, 'deadline'),
    sessionId: hashOf(message.sessionId, 'session id'),
    step: stepOf(message),
  };
}

/** At most one of the fields is set: they are one `oneof`. */
function stepOf(message: RoundTask__Output): TaskStep {
  const { share, mask, confirm, release, aborted } = message;
  if (message.advertise) return { name: 'advertise' };
  if (share) return { name: 'share', adverts: share.adverts };
  if (mask) return { name: 'mask', sharers: mask.sharers, boxes: mask.boxes };
  if (confirm) return { name: 'confirm', survivors: confirm.survivors };
  if (release) return { name: 'release', confirmations: release.confirmations };
  if (message.closed) return closedOf(message);
  // No step, or one of a later protocol.
  if (!aborted || !/^[A-Z0-9_]{0,64}$/.test(aborted.reasonCode)) return invalid('step');
  return { name: 'aborted', reasonCode: aborted.reasonCode, retried: aborted.retried };
}

function closedOf({ closed }: RoundTask__Output): ClosedRound {
  const proof = closed?.proof;
  if (!closed || !proof) return invalid('proof');
  return {
    name: 'closed',
    receipt: closed.receipt,
    aggregate: blobOf(closed.aggregate, 'aggregate'),
    nextModel: blobOf(closed.nextModel, 'next model'),
    proof: {
      leaf: proof.leaf,
      index: integerOf(proof.index, 'leaf index'),
      checkpoint: proof.checkpoint,
      path: proof.path,
    },
  };
}

function blobOf(blob: BlobRef__Output | null, what: string): BlobName {
  if (!blob) return invalid(what);
  const sha256 = hashOf(blob.sha256, what);
  return { sha256, hex: toHex(sha256), sizeBytes: integerOf(blob.sizeBytes, what) };
}

function hashOf(bytes: Uint8Array, what: string): Uint8Array {
  return bytes.length === 32 ? new Uint8Array(bytes) : invalid(what);
}

/** 64-bit integers arrive as decimal text; what a double does not hold exactly is refused. */
function integerOf(text: string, what: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : invalid(what);
}

function invalid(what: string): never {
  throw new MedleyError('RPC_MESSAGE_INVALID', `round task: ${what}`);
}
