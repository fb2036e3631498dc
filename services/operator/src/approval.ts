import { equalBytes, MedleyError, utf8 } from '@medley/kit';
import { verifyEnrolment, type SignedEnrolment } from '@medley/pki';

/** A silo's request as the aggregator hands it on. */
export type Pending = SignedEnrolment;

/**
 * Checks a pending request without believing the aggregator that delivers it: the identity key has
 * signed this very certificate request for this silo, and its fingerprint is the one that the silo
 * read out by another channel. Returns the six words.
 *
 * Throws OPERATOR_REQUEST_FORGED and OPERATOR_FINGERPRINT_DIFFERS.
 */
export function checkPending(pending: Pending, silo: string, spokenWords: string): string {
  let words: string;
  try {
    if (pending.silo !== silo) throw new Error(`the request is for ${pending.silo}`);
    words = verifyEnrolment(pending).fingerprint.join(' ');
  } catch (cause) {
    throw new MedleyError('OPERATOR_REQUEST_FORGED', `the request of ${silo}`, { cause });
  }
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
