import { MedleyError, toHex } from '@medley/kit';
import { isWeakKey, verifyIdentity, type IdentitySigner } from '../crypto/keys.ts';
import { rosterEntry, type SessionTerms } from '../session.ts';
import { advertBytes, type Advert, type Unsigned } from './messages.ts';

/** Terms with their session id, computed once per call of a public function. */
export interface Session {
  readonly terms: SessionTerms;
  readonly sid: Uint8Array;
}

/** `unsigned` with the silo's signature over `bytes`. */
export function signed<Message extends { readonly signature: Uint8Array }>(
  unsigned: Unsigned<Message>,
  bytes: Uint8Array,
  signer: IdentitySigner,
): Unsigned<Message> & { readonly signature: Uint8Array } {
  return { ...unsigned, signature: Uint8Array.from(signer.sign(bytes)) };
}

/** Throws SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID naming the silo and the step. */
export function checkSignature(
  terms: SessionTerms,
  step: string,
  message: { readonly silo: number; readonly signature: Uint8Array },
  bytes: Uint8Array,
): void {
  const entry = rosterEntry(terms, message.silo);
  if (!verifyIdentity(entry.identityKey, bytes, message.signature)) {
    throw new MedleyError('SECAGG_SIGNATURE_INVALID', `${step} of silo ${message.silo}`);
  }
}

/**
 * An advert on its own: signed by the pinned identity, keys canonical and of large order.
 * Throws SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID, SECAGG_KEY_WEAK.
 */
export function checkAdvert({ terms, sid }: Session, advert: Advert): void {
  checkSignature(terms, 'advert', advert, advertBytes(sid, advert));
  if (isWeakKey(advert.channelKey) || isWeakKey(advert.maskKey)) {
    throw new MedleyError('SECAGG_KEY_WEAK', `advert of silo ${advert.silo}`);
  }
}

/** Adverts together: no silo twice (SECAGG_DUPLICATE), no key twice (SECAGG_KEY_REUSED). */
export function checkDistinct(adverts: readonly Advert[]): void {
  checkOncePerSilo(adverts, 'adverts');
  const keys = new Set<string>();
  for (const advert of adverts) {
    for (const key of [advert.channelKey, advert.maskKey].map(toHex)) {
      if (keys.has(key)) {
        throw new MedleyError('SECAGG_KEY_REUSED', `a key of silo ${advert.silo} stands twice`);
      }
      keys.add(key);
    }
  }
}

/** Throws SECAGG_DUPLICATE when a silo has two entries. */
export function checkOncePerSilo(
  entries: readonly { readonly silo: number }[],
  what: string,
): void {
  const seen = new Set<number>();
  for (const { silo } of entries) {
    if (seen.has(silo)) throw new MedleyError('SECAGG_DUPLICATE', `${what}: silo ${silo} twice`);
    seen.add(silo);
  }
}
