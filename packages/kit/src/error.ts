import { CATALOGUE, isErrorCode, type ErrorCode } from './catalogue/index.ts';
import type { CatalogueEntry } from './catalogue/section.ts';

/**
 * The one error class of Medley. `code` is stable and closed; `message` is for the engineer and says
 * what and where; what users read is the catalogue's sentence and remedy.
 *
 * Never put patient values, keys, tokens or shares into `message`.
 */
export class MedleyError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'MedleyError';
  readonly code: Code;

  constructor(code: Code, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }

  /** What the catalogue says of this code. */
  get entry(): CatalogueEntry {
    return CATALOGUE[this.code];
  }

  /** Any caught value as a MedleyError; what is not one becomes `INTERNAL` with the value as cause. */
  static from(caught: unknown): MedleyError {
    if (isMedleyError(caught)) return caught;
    const detail = caught instanceof Error ? caught.message : String(caught);
    return new MedleyError('INTERNAL', detail, { cause: caught });
  }
}

/** Holds across copies of this module and worker boundaries, unlike `instanceof`. */
export function isMedleyError(value: unknown): value is MedleyError {
  return (
    value instanceof Error &&
    value.name === 'MedleyError' &&
    'code' in value &&
    typeof value.code === 'string' &&
    isErrorCode(value.code)
  );
}
