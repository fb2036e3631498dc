import { MedleyError, equalBytes, fromBase64, toBase64 } from '@medley/kit';
import { signCosignature } from './cosignature.ts';
import { emptyRoot, isHash } from './hash.ts';
import { verifierKeyOf, type LogKey, type VerifierKey, type WitnessKey } from './key.ts';
import {
  formatNote,
  formatSignatureLine,
  parseNote,
  parseSignatureLines,
  signNote,
  signatureOf,
  type Note,
} from './note.ts';
import { isSize } from './range.ts';
import { openNote, type Signer } from './signer.ts';

/** A log's tree at one moment: its name, number of leaves and root (32 bytes). */
export interface TreeHead {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A checkpoint that was read, not verified. `extensions` are the opaque lines after the root. */
export interface UnverifiedCheckpoint extends TreeHead {
  readonly extensions: readonly string[];
  readonly note: Note;
}

/** A checkpoint whose log signature holds; `signers` are the trusted keys that signed, each once. */
export interface Checkpoint extends TreeHead {
  readonly extensions: readonly string[];
  readonly signers: readonly Signer[];
}

/** `origin\nsize\nbase64(root)\n`. Throws MERKLE_CHECKPOINT_MALFORMED. C2SP tlog-checkpoint, "Note text". */
export function checkpointText({ origin, size, root }: TreeHead): string {
  if (origin === '' || origin.includes('\n')) malformed('origin');
  if (!isSize(size) || !isHash(root)) return malformed('size or root');
  if (size === 0 && !equalBytes(root, emptyRoot())) malformed('root of the empty tree');
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/**
 * The signed checkpoint of `head`. The caller sees to it that the log never signs two heads of which
 * neither continues the other. Throws MERKLE_CHECKPOINT_MALFORMED, MERKLE_NOTE_MALFORMED and, also
 * when the key is not named like the origin, MERKLE_KEY_INVALID. C2SP tlog-checkpoint.
 */
export function signCheckpoint(head: TreeHead, key: LogKey): string {
  if (key.name !== head.origin) {
    throw new MedleyError(
      'MERKLE_KEY_INVALID',
      `key ${key.name} is not the one of log ${head.origin}`,
    );
  }
  return signNote(checkpointText(head), key);
}

/**
 * Reads a checkpoint without verifying anything: for finding out which log it speaks of. Throws
 * MERKLE_NOTE_MALFORMED, MERKLE_CHECKPOINT_MALFORMED.
 */
export function parseCheckpoint(checkpoint: string): UnverifiedCheckpoint {
  const note = parseNote(checkpoint);
  return { ...parseText(note.text), note };
}

/**
 * Verifies a checkpoint. Besides what `openNote` asks, a trusted key of role `log` named like the
 * origin must have signed: a witness or another log cannot vouch in its place. Whether the origin is
 * the expected log and the witnesses are enough is the caller's to judge. Throws
 * MERKLE_NOTE_MALFORMED, MERKLE_CHECKPOINT_MALFORMED, MERKLE_SIGNATURE_INVALID,
 * MERKLE_SIGNATURE_MISSING, MERKLE_KEY_INVALID.
 */
export function openCheckpoint(
  checkpoint: string,
  verifierKeys: readonly VerifierKey[],
): Checkpoint {
  const { text, signers } = openNote(checkpoint, verifierKeys);
  const head = parseText(text);
  if (!signers.some(({ role, key }) => role === 'log' && key.name === head.origin)) {
    throw new MedleyError(
      'MERKLE_SIGNATURE_MISSING',
      'no trusted key of the log itself signed the checkpoint',
    );
  }
  return { ...head, signers };
}

/**
 * The signature line (with newline) by which a witness vouches at `timeS` (seconds since 1970) for a
 * checkpoint, extension lines included. The caller has verified the checkpoint, its consistency with
 * the last one cosigned, and stored it. Throws MERKLE_NOTE_MALFORMED, MERKLE_CHECKPOINT_MALFORMED,
 * MERKLE_RANGE, MERKLE_KEY_INVALID. C2SP tlog-cosignature.
 */
export function cosignCheckpoint(checkpoint: string, key: WitnessKey, timeS: number): string {
  const { note } = parseCheckpoint(checkpoint);
  const verifier = verifierKeyOf('witness', key);
  return formatSignatureLine(signatureOf(verifier, signCosignature(note.text, key, timeS)));
}

/**
 * The checkpoint with more signature lines after those it has, none twice; nothing is verified.
 * Throws MERKLE_NOTE_MALFORMED.
 */
export function addSignatures(checkpoint: string, lines: string): string {
  const { text, signatures } = parseNote(checkpoint);
  const seen = new Map(
    [...signatures, ...parseSignatureLines(lines)].map((s) => [formatSignatureLine(s), s]),
  );
  return formatNote({ text, signatures: [...seen.values()] });
}

function parseText(text: string): TreeHead & { readonly extensions: readonly string[] } {
  const [origin = '', sizeText = '', rootText = '', ...extensions] = text.slice(0, -1).split('\n');
  if (extensions.includes('')) malformed('empty extension line');
  const size = /^(0|[1-9][0-9]{0,15})$/.test(sizeText) ? Number(sizeText) : NaN;
  const head: TreeHead = { origin, size, root: fromBase64(rootText) ?? new Uint8Array() };
  checkpointText(head);
  return { ...head, extensions };
}

function malformed(what: string): never {
  throw new MedleyError('MERKLE_CHECKPOINT_MALFORMED', `checkpoint: ${what}`);
}
