import { MedleyError, equalBytes } from '@medley/kit';
import { setHash } from './frame.ts';
import { confirmationBytes, type Confirmation } from './messages.ts';
import { checkOncePerSilo, checkSignature, type Session } from './signing.ts';

/** The two sets that a session ends with, each ascending. */
export interface SessionSets {
  /** U1. */
  readonly sharers: readonly number[];
  /** U2. */
  readonly survivors: readonly number[];
}

/**
 * One confirmation of these very sets by a member of U2. Throws SECAGG_SILO_ABSENT,
 * SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID, and SECAGG_EQUIVOCATION when a valid signature
 * stands under other sets.
 */
export function checkConfirmation(
  { terms, sid }: Session,
  { sharers, survivors }: SessionSets,
  confirmation: Confirmation,
): void {
  if (!survivors.includes(confirmation.silo)) {
    throw new MedleyError('SECAGG_SILO_ABSENT', `silo ${confirmation.silo} is no survivor`);
  }
  checkSignature(terms, 'confirmation', confirmation, confirmationBytes(sid, confirmation));
  const same =
    equalBytes(confirmation.survivorsHash, setHash(sid, survivors)) &&
    equalBytes(confirmation.sharersHash, setHash(sid, sharers));
  if (!same) {
    throw new MedleyError('SECAGG_EQUIVOCATION', `silo ${confirmation.silo} was shown other sets`);
  }
}

/** At least t distinct ones: SECAGG_DUPLICATE, SECAGG_TOO_FEW, or what {@link checkConfirmation} throws. */
export function checkConfirmations(
  session: Session,
  sets: SessionSets,
  confirmations: readonly Confirmation[],
): void {
  checkOncePerSilo(confirmations, 'confirmations');
  for (const confirmation of confirmations) checkConfirmation(session, sets, confirmation);
  const { threshold } = session.terms;
  if (confirmations.length < threshold) {
    throw new MedleyError(
      'SECAGG_TOO_FEW',
      `${confirmations.length} confirmations of ${threshold} needed`,
    );
  }
}
