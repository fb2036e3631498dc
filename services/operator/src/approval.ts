import { equalBytes, fromHex, MedleyError, toBase64, utf8 } from '@medley/kit';
import { fingerprintWords, isIdentityKey, readCsr, verifyStatement } from '@medley/pki';

/** A silo's request as the aggregator hands it on. */
export interface Pending {
  readonly silo: string;
  readonly csrPem: string;
  readonly identityKey: Uint8Array;
  readonly invitationId: string;
  readonly secretHash: string;
  readonly signature: Uint8Array;
}

/**
 * Checks a pending request without believing the aggregator that delivers it: the identity key has
 * signed this very certificate request for this silo, and its fingerprint is the one that the silo
 * read out by another channel. Returns the six words.
 *
 * Throws OPERATOR_REQUEST_FORGED and OPERATOR_FINGERPRINT_DIFFERS.
 */
export function checkPending(pending: Pending, silo: string, spokenWords: string): string {
  const { csrPem, identityKey, invitationId, secretHash } = pending;
  const document = {
    csrPem,
    identityKey: toBase64(identityKey),
    invitationId,
    secretHash,
    silo: pending.silo,
  };
  const holds =
    pending.silo === silo &&
    isIdentityKey(identityKey) &&
    fromHex(secretHash) !== undefined &&
    verifyStatement(identityKey, 'enrolment', document, pending.signature) &&
    readCsr(csrPem).name === silo;
  if (!holds) throw new MedleyError('OPERATOR_REQUEST_FORGED', `the request of ${silo}`);
  const words = fingerprintWords(identityKey).join(' ');
  const spoken = spokenWords
    .toLowerCase()
    .split(/[\s-]+/)
    .filter(Boolean)
    .join(' ');
  if (!equalBytes(utf8(words), utf8(spoken))) {
    throw new MedleyError(
      'OPERATOR_FINGERPRINT_DIFFERS',
      `the key of ${silo} has the fingerprint "${words}"`,
    );
  }
  return words;
}
