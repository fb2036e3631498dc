import canonicalizeModule from 'canonicalize';
import { MedleyError } from './error.ts';
import { sha256 } from './bytes.ts';

/** What RFC 8785 can write: I-JSON values. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const serialize: (value: unknown) => string | undefined = canonicalizeModule;

/** UTF-8 bytes of the RFC 8785 (JCS) form. Throws CANONICAL_INVALID for NaN, Infinity, undefined. */
export function canonicalBytes(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = serialize(value);
  } catch (cause) {
    throw new MedleyError('CANONICAL_INVALID', 'value has no RFC 8785 form', { cause });
  }
  if (text === undefined)
    throw new MedleyError('CANONICAL_INVALID', 'undefined has no RFC 8785 form');
  return new TextEncoder().encode(text);
}

/** Lower-case hex SHA-256 of the canonical form: the identity of a document. */
export function documentHash(value: unknown): string {
  return Buffer.from(sha256(canonicalBytes(value))).toString('hex');
}
