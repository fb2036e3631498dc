import { MedleyError } from '@medley/kit';
import { verifyEnrolment, type SignedEnrolment } from '@medley/pki';

/**
 * Checks a pending request without believing the aggregator that delivers it: the identity key has
 * signed this very certificate request for this silo, and its fingerprint is the one that the silo
 * read out by another channel, in any spacing. Returns the six words.
 *
 * Throws OPERATOR_REQUEST_FORGED and OPERATOR_FINGERPRINT_DIFFERS.
 */
export function checkPending(
  pending: SignedEnrolment,
  silo: string,
  spokenWords: string,
): readonly string[] {
  const words = verified(pending, silo);
  const spoken = spokenWords.toLowerCase().match(/[a-z]+/g) ?? [];
  if (words.join(' ') !== spoken.join(' ')) {
    // Without the right words: whoever reads them here need not telephone any more.
    throw new MedleyError(
      'OPERATOR_FINGERPRINT_DIFFERS',
      `the key that asks to be ${silo} has other words than these`,
    );
  }
  return words;
}

function verified(pending: SignedEnrolment, silo: string): readonly string[] {
  try {
    const { fingerprint } = verifyEnrolment(pending);
    if (pending.silo === silo) return fingerprint;
  } catch (cause) {
    throw new MedleyError('OPERATOR_REQUEST_FORGED', `the request of ${silo}`, { cause });
  }
  throw new MedleyError('OPERATOR_REQUEST_FORGED', `asked for ${silo}, got ${pending.silo}`);
}
