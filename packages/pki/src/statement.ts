import {
  MedleyError,
  canonicalBytes,
  concatBytes,
  isMedleyError,
  utf8,
  type Json,
} from '@medley/kit';
import { verifyIdentity, type Identity } from './identity.ts';

/**
 * The bytes an identity signs for a document: `medley/<domain>/v1`, a newline, the RFC 8785 form. The
 * domain keeps a signature made for one purpose from serving another. Throws CANONICAL_INVALID;
 * `domain` is lower-case letters and hyphens (a programming error otherwise: INTERNAL).
 */
export function statementBytes(domain: string, document: Json): Uint8Array {
  if (!/^[a-z][a-z-]*$/.test(domain)) {
    throw new MedleyError('INTERNAL', `"${domain}" is not a statement domain`);
  }
  return concatBytes(utf8(`medley/${domain}/v1\n`), canonicalBytes(document));
}

/** Signs `document` in `domain`; the signature is 64 bytes. Throws CANONICAL_INVALID. */
export function signStatement(
  identity: Identity,
  domain: string,
  document: Json,
): { readonly signature: Uint8Array } {
  return { signature: identity.sign(statementBytes(domain, document)) };
}

/** Whether `signature` is the key's over `document` in `domain`. False for malformed input. */
export function verifyStatement(
  publicKey: Uint8Array,
  domain: string,
  document: Json,
  signature: Uint8Array,
): boolean {
  try {
    return verifyIdentity(publicKey, statementBytes(domain, document), signature);
  } catch (caught) {
    if (isMedleyError(caught) && caught.code === 'CANONICAL_INVALID') return false;
    throw caught;
  }
}
