import { MedleyError } from '@medley/kit';
import type { IdentitySigner } from '../crypto/keys.ts';
import { quorum } from '../session.ts';
import { setHash } from '../wire/frame.ts';
import {
  confirmationBytes,
  decodeConfirmation,
  releaseBytes,
  type Confirmation,
  type Release,
} from '../wire/messages.ts';
import { siloSetOf } from '../wire/fields.ts';
import { checkConfirmations } from '../wire/confirmations.ts';
import { signed } from '../wire/signing.ts';
import {
  outOfOrder,
  type ConfirmedSilo,
  type MaskedSilo,
  type ReleasedSilo,
  type SiloState,
} from './state.ts';

/**
 * R3. Signs one U2 for this session, ever: u ∈ U2 ⊆ U1 and |U2| ≥ max(t, minSurvivors), ascending.
 * Forgets every share that this U2 does not entitle anyone to, and the mask keys. The same U2 again
 * gives the same message.
 *
 * Throws SECAGG_SURVIVORS_INVALID, SECAGG_TOO_FEW, SECAGG_OUT_OF_ORDER; SECAGG_EQUIVOCATION for a
 * second U2.
 */
export function confirm(
  state: SiloState,
  survivors: readonly number[],
  signer: IdentitySigner,
): { readonly state: ConfirmedSilo; readonly message: Confirmation } {
  const claimed = survivorsOf(survivors);
  if (state.phase === 'confirmed') {
    if (sameSet(claimed, state.survivors)) return { state, message: state.confirmation };
    throw new MedleyError('SECAGG_EQUIVOCATION', 'a second survivor set in one session');
  }
  if (state.phase !== 'masked') throw outOfOrder('confirm', state);
  checkSurvivors(state, claimed);
  const { terms, sid, me, auditSalt, sharers } = state;
  const unsigned = {
    silo: me,
    survivorsHash: setHash(sid, claimed),
    sharersHash: setHash(sid, sharers),
  };
  const confirmation = signed<Confirmation>(unsigned, confirmationBytes(sid, unsigned), signer);
  const next: ConfirmedSilo = {
    phase: 'confirmed',
    ...{ terms, sid, me, auditSalt, sharers },
    survivors: claimed,
    // The two lists are disjoint in `of`: never both shares of one silo.
    seedShares: state.seedShares.filter(({ of }) => claimed.includes(of)),
    keyShares: state.keyShares.filter(({ of }) => !claimed.includes(of)),
    confirmation,
  };
  return { state: next, message: confirmation };
}

function survivorsOf(survivors: readonly number[]): readonly number[] {
  try {
    return siloSetOf(survivors, 'survivors');
  } catch (cause) {
    throw new MedleyError('SECAGG_SURVIVORS_INVALID', 'not a strictly ascending set of silos', {
      cause,
    });
  }
}

function checkSurvivors({ terms, me, sharers }: MaskedSilo, survivors: readonly number[]): void {
  const stranger = survivors.find((silo) => !sharers.includes(silo));
  if (stranger !== undefined) {
    throw new MedleyError('SECAGG_SURVIVORS_INVALID', `silo ${stranger} did not share its secrets`);
  }
  if (!survivors.includes(me)) {
    throw new MedleyError('SECAGG_SURVIVORS_INVALID', `silo ${me} itself is missing`);
  }
  if (survivors.length < quorum(terms)) {
    throw new MedleyError(
      'SECAGG_TOO_FEW',
      `${survivors.length} survivors of ${quorum(terms)} needed`,
    );
  }
}

/**
 * R4. Given proof that at least t members of U2 signed this same U2 and U1, hands out the seed
 * shares of U2 and the key shares of U1∖U2. Called again after that, it gives the same message.
 *
 * Throws SECAGG_MESSAGE_MALFORMED, SECAGG_DUPLICATE, SECAGG_SILO_ABSENT (signer outside U2),
 * SECAGG_SIGNATURE_INVALID, SECAGG_EQUIVOCATION (a valid signature on other sets), SECAGG_TOO_FEW,
 * SECAGG_OUT_OF_ORDER.
 */
export function release(
  state: SiloState,
  confirmations: readonly Confirmation[],
  signer: IdentitySigner,
): { readonly state: ReleasedSilo; readonly message: Release } {
  if (state.phase === 'released') return { state, message: state.release };
  if (state.phase !== 'confirmed') throw outOfOrder('release', state);
  const { terms, sid, me, auditSalt, sharers, survivors, seedShares, keyShares } = state;
  const decoded = confirmations.map((item) => decodeConfirmation(item));
  checkConfirmations({ terms, sid }, { sharers, survivors }, decoded);
  const unsigned = { silo: me, seedShares, keyShares };
  const message = signed<Release>(unsigned, releaseBytes(sid, unsigned), signer);
  const next: ReleasedSilo = {
    phase: 'released',
    ...{ terms, sid, me, auditSalt, sharers, survivors },
    release: message,
  };
  return { state: next, message };
}

function sameSet(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((silo, i) => silo === b[i]);
}
