import { MedleyError, type JsonSchema } from '@medley/kit';
import { readDocument, writeDocument } from '../file.ts';

/** Newest checkpoint that this hospital vouched for. */
export interface WitnessHead {
  readonly medley: 'witnessHead/v1';
  /** Of the log; the first that this hospital was told, and never another. */
  readonly verifierKey: string;
  readonly size: number;
  /** 32 bytes, base64. */
  readonly root: string;
  /** The checkpoint as it came, C2SP signed note. */
  readonly note: string;
  /** This hospital's signature line under it. */
  readonly cosignature: string;
}

/**
 * - `fork`: two checkpoints of which neither continues the other, by the proof that came or without one
 * - `rollback`: the log's newest checkpoint is smaller than one that it had signed before
 * - `unproven`: the log refuses to prove that one continues the other
 */
export type ForkKind = 'fork' | 'rollback' | 'unproven';

/**
 * What was seen of a log that shows two histories: both notes carry its signature. A `fork` convicts by
 * itself; of the other kinds, what was shown when is this hospital's word.
 */
export interface ForkEvidence {
  readonly medley: 'logFork/v1';
  readonly kind: ForkKind;
  /** RFC 3339. */
  readonly at: string;
  readonly verifierKey: string;
  /** The checkpoint that this hospital had vouched for. */
  readonly held: string;
  /** The checkpoint that it was shown then. */
  readonly shown: string;
  /** Consistency proof from the smaller to the larger as it came, hashes in base64; of a `fork` of two sizes it fails. */
  readonly proof: readonly string[];
  /** Why the two do not go together: a code of the catalogue. */
  readonly fault: string;
}

const note: JsonSchema = { type: 'string', minLength: 1, maxLength: 1_000_000 };
const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 1000 };
const hash: JsonSchema = { type: 'string', pattern: '^[A-Za-z0-9+/]{43}=$' };

const HEAD_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'verifierKey', 'size', 'root', 'note', 'cosignature'],
  properties: {
    medley: { const: 'witnessHead/v1' },
    verifierKey: text,
    size: { type: 'integer', minimum: 0 },
    root: hash,
    note,
    cosignature: text,
  },
};

const FORK_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'kind', 'at', 'verifierKey', 'held', 'shown', 'proof', 'fault'],
  properties: {
    medley: { const: 'logFork/v1' },
    kind: { enum: ['fork', 'rollback', 'unproven'] },
    at: text,
    verifierKey: text,
    held: note,
    shown: note,
    proof: { type: 'array', maxItems: 256, items: { type: 'string', maxLength: 1000 } },
    fault: { type: 'string', pattern: '^[A-Z0-9_]{1,64}$' },
  },
};

/** The two files of a witness. */
export interface WitnessFiles {
  readonly head: string;
  readonly fork: string;
}

/** Undefined before the first checkpoint. Throws AGENT_STATE_INVALID, FILE_UNREADABLE. */
export async function readHead(files: WitnessFiles): Promise<WitnessHead | undefined> {
  return readDocument<WitnessHead>(files.head, HEAD_SCHEMA);
}

/** When it returns, the head survives a power cut. Throws FILE_UNWRITABLE. */
export async function writeHead(files: WitnessFiles, head: WitnessHead): Promise<void> {
  await writeDocument(files.head, head);
}

/** Undefined while the log has shown one history. Throws AGENT_STATE_INVALID, FILE_UNREADABLE. */
export async function readFork(files: WitnessFiles): Promise<ForkEvidence | undefined> {
  return readDocument<ForkEvidence>(files.fork, FORK_SCHEMA);
}

/** Throws FILE_UNWRITABLE. */
export async function writeFork(files: WitnessFiles, evidence: ForkEvidence): Promise<void> {
  await writeDocument(files.fork, evidence);
}

/** Throws LOG_FORKED once evidence is kept, and what {@link readFork} throws. */
export async function checkOneHistory(files: WitnessFiles): Promise<void> {
  const evidence = await readFork(files);
  if (evidence) throw forked(evidence);
}

/** LOG_FORKED, saying how. */
export function forked({ kind, fault, at }: ForkEvidence): MedleyError {
  return new MedleyError('LOG_FORKED', `${kind} of the log, ${fault}, found at ${at}`);
}
