import { fromBase64, toBase64 } from '@medley/kit';

/** The longest PEM text that is looked at unless a caller says otherwise, in characters. */
const MAX_PEM_LENGTH = 65_536;

/** Textual encoding (RFC 7468 section 3) of `der` under `label`, with a final newline. */
export function writePem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The bytes of a text that is exactly one PEM block of `label`; undefined for every other text.
 * Explanatory text around the block is refused: what one program skips another might read.
 */
export function readPem(
  text: string,
  label: string,
  maxLength = MAX_PEM_LENGTH,
): Uint8Array | undefined {
  const trimmed = text.length <= maxLength ? text.trim() : '';
  const head = `-----BEGIN ${label}-----`;
  const tail = `-----END ${label}-----`;
  if (!trimmed.startsWith(head) || !trimmed.endsWith(tail)) return undefined;
  const body = trimmed.slice(head.length, -tail.length);
  if (!/^\r?\n(?:[A-Za-z0-9+/=]+\r?\n)+$/.test(body)) return undefined;
  return fromBase64(body.replaceAll(/[\r\n]/g, ''));
}

/** Whether `text` begins a PEM block of `label`. */
export function isPem(text: string, label: string): boolean {
  return text.trimStart().startsWith(`-----BEGIN ${label}-----`);
}

/**
 * The PEM blocks of a text that is nothing else, each by itself, for {@link readPem} to judge; none
 * for every other text.
 */
export function splitPem(text: string): string[] {
  const block = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g;
  if (text.length > MAX_PEM_LENGTH || text.replaceAll(block, '').trim() !== '') return [];
  return text.match(block) ?? [];
}
