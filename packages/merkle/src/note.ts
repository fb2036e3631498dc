import { MedleyError, concatBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from '@medley/kit';
import {
  isKeyName,
  isNoteUnicode,
  signMessage,
  verifierKeyOf,
  type LogKey,
  type VerifierKey,
} from './key.ts';

/** One signature line, not verified. `keyId` is 8 hex digits; `payload` is what follows it. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: string;
  readonly payload: Uint8Array;
}

/** A signed note, taken apart but not verified. `text` ends in a newline. */
export interface Note {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** Longest note that is read, in UTF-16 units, and the most signature lines: room for 1,000 witnesses. */
export const NOTE_LIMITS = { length: 1_000_000, signatures: 1_024 } as const;

const LINE_START = '\u2014 ';
const KEY_ID_BYTES = 4;

/** Takes a signed note apart; nothing is verified. Throws MERKLE_NOTE_MALFORMED. C2SP signed-note, "Format". */
export function parseNote(note: string): Note {
  if (note.length > NOTE_LIMITS.length) malformed('longer than any note should be');
  // The text may itself hold empty lines: the last one separates.
  const end = note.lastIndexOf('\n\n');
  if (end < 0) malformed('no empty line before the signatures');
  const text = note.slice(0, end + 1);
  checkNoteText(text);
  return { text, signatures: parseSignatureLines(note.slice(end + 2)) };
}

/** Writes a note; the inverse of {@link parseNote}. Throws MERKLE_NOTE_MALFORMED when it could not be read back. */
export function formatNote(note: Note): string {
  checkNoteText(note.text);
  return `${note.text}\n${note.signatures.map(formatSignatureLine).join('')}`;
}

/** Reads one or more signature lines, each with its newline. Throws MERKLE_NOTE_MALFORMED. */
export function parseSignatureLines(text: string): readonly NoteSignature[] {
  if (!text.endsWith('\n')) malformed('signature lines do not end in a newline');
  const lines = text.slice(0, -1).split('\n');
  if (lines.length > NOTE_LIMITS.signatures)
    malformed(`more than ${NOTE_LIMITS.signatures} signatures`);
  return lines.map(parseSignatureLine);
}

/** One signature line with its newline. */
export function formatSignatureLine({ name, keyId, payload }: NoteSignature): string {
  const id = fromHex(keyId);
  if (id?.length !== KEY_ID_BYTES || !isKeyName(name))
    return malformed('key name or id of a signature');
  return `${LINE_START}${name} ${toBase64(concatBytes(id, payload))}\n`;
}

/**
 * A note over `text` with one Ed25519 signature of type 0x01. Throws MERKLE_NOTE_MALFORMED,
 * MERKLE_KEY_INVALID. C2SP signed-note, "Ed25519 signatures".
 */
export function signNote(text: string, key: LogKey): string {
  checkNoteText(text);
  const verifier = verifierKeyOf('log', key);
  return formatNote({ text, signatures: [signatureOf(verifier, signMessage(key, utf8(text)))] });
}

/** The signature line's content for a payload that `key` accounts for. */
export function signatureOf(key: VerifierKey, payload: Uint8Array): NoteSignature {
  return { name: key.name, keyId: key.keyId, payload };
}

function parseSignatureLine(line: string): NoteSignature {
  const [name, encoded, ...more] = line.startsWith(LINE_START)
    ? line.slice(LINE_START.length).split(' ')
    : [];
  const bytes = encoded === undefined ? undefined : fromBase64(encoded);
  if (
    name === undefined ||
    !isKeyName(name) ||
    bytes === undefined ||
    bytes.length <= KEY_ID_BYTES ||
    more.length > 0
  ) {
    return malformed('signature line');
  }
  return {
    name,
    keyId: toHex(bytes.subarray(0, KEY_ID_BYTES)),
    payload: bytes.slice(KEY_ID_BYTES),
  };
}

function checkNoteText(text: string): void {
  if (!text.endsWith('\n')) malformed('text does not end in a newline');
  if (!isNoteUnicode(text)) malformed('control character or lone surrogate');
}

function malformed(what: string): never {
  throw new MedleyError('MERKLE_NOTE_MALFORMED', `note: ${what}`);
}
