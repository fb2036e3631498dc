import { MedleyError, equalBytes, isMedleyError } from '@medley/kit';
import { x25519Agreement, x25519Public } from '../crypto/keys.ts';
import { applyMasks, pairMaskKey, pairSign, selfMaskKey, type Mask } from '../crypto/masks.ts';
import type { SessionTerms } from '../session.ts';
import { seedCommitment, type SecretKind } from '../wire/frame.ts';
import { recoverSecret, rememberedCoefficients, type Helper } from './recover.ts';
import { checkSession, sharersOf, survivorsOf, type CoordinatorState } from './state.ts';

/** The masks that stand in the sum of the survivors' vectors, and who shared them wrongly. */
export interface UnmaskPlan {
  /** Key of the self mask of each member of U2, by index; each was added once. */
  readonly seedKeys: ReadonlyMap<number, Uint8Array>;
  /** Keys of the masks shared with dropped silos, with the sign with which each stands in the sum. */
  readonly pairMasks: readonly Mask[];
  readonly blamed: readonly Blame[];
}

/** A silo that shared a secret in pieces that do not give back what it committed to. */
export interface Blame {
  readonly silo: number;
  readonly reason: string;
}

/**
 * Reconstructs b_v of every survivor and s_v of every dropped sharer from the releases of a
 * `complete` session. Each secret is checked against what its owner committed to in R1 (b) or
 * advertised in R0 (s). Every released share has the hash that the owner signed ({@link accept}), so
 * where they do not fit together the owner is blamed, and no helper can be. Other sets of helpers are
 * tried all the same: the round may be saved.
 *
 * Throws SECAGG_OUT_OF_ORDER before `complete`, SECAGG_SESSION_MISMATCH, SECAGG_UNMASK_FAILED naming
 * the silo whose secret no set of helpers gives back ({@link brokenSharers} lists all of them).
 */
export function planUnmask(terms: SessionTerms, state: CoordinatorState): UnmaskPlan {
  checkSession(terms, state);
  if (state.phase !== 'complete') {
    throw new MedleyError('SECAGG_OUT_OF_ORDER', `unmasking in phase ${state.phase}`);
  }
  const { sid } = state;
  const survivors = survivorsOf(state);
  const dropped = sharersOf(state).filter((silo) => !survivors.includes(silo));
  const blamed: Blame[] = [];
  const recover = secretRecovery(terms, state, blamed);
  const seedKeys = new Map(
    survivors.map((silo) => [silo, selfMaskKey(recover('seed', silo), sid, silo)] as const),
  );
  const pairMasks = dropped.flatMap((silo) => {
    const agree = x25519Agreement(recover('key', silo));
    return state.adverts
      .filter((advert) => survivors.includes(advert.silo))
      .map((advert) => ({
        key: pairMaskKey(agree(advert.maskKey), sid, silo, advert.silo),
        sign: pairSign(advert.silo, silo),
      }));
  });
  return { seedKeys, pairMasks, blamed };
}

/**
 * The silos whose secrets the releases of a `complete` session do not give back, ascending: each of them
 * signed for shares that are not of the secret that it committed to. Throws as {@link planUnmask}.
 */
export function brokenSharers(terms: SessionTerms, state: CoordinatorState): readonly number[] {
  checkSession(terms, state);
  const survivors = survivorsOf(state);
  const recover = secretRecovery(terms, state, []);
  return sharersOf(state).filter((silo) => {
    try {
      recover(survivors.includes(silo) ? 'seed' : 'key', silo);
      return false;
    } catch (caught) {
      if (isMedleyError(caught) && caught.code === 'SECAGG_UNMASK_FAILED') return true;
      throw caught;
    }
  });
}

function secretRecovery(
  terms: SessionTerms,
  state: CoordinatorState,
  blamed: Blame[],
): (kind: SecretKind, silo: number) => Uint8Array {
  const coefficients = rememberedCoefficients();
  return (kind, silo) => {
    const helpers: Helper[] = state.releases.flatMap((release) => {
      const list = kind === 'seed' ? release.seedShares : release.keyShares;
      const entry = list.find(({ of }) => of === silo);
      return entry === undefined ? [] : [{ index: release.silo, share: entry.share }];
    });
    const found = recoverSecret(helpers, terms.threshold, coefficients, (secret) =>
      fits(state, kind, silo, secret),
    );
    if (found === undefined) {
      throw new MedleyError(
        'SECAGG_UNMASK_FAILED',
        `no ${terms.threshold} of ${helpers.length} helpers give back the ${kind} of silo ${silo}`,
      );
    }
    if (found.wrong.length > 0) {
      blamed.push({ silo, reason: `shared its ${kind} in pieces that do not fit together` });
    }
    return found.secret;
  };
}

function fits(
  state: CoordinatorState,
  kind: SecretKind,
  silo: number,
  secret: Uint8Array,
): boolean {
  if (kind === 'seed') {
    const committed = state.shares.find((message) => message.silo === silo)?.seedCommitment;
    return (
      committed !== undefined && equalBytes(committed, seedCommitment(state.sid, silo, secret))
    );
  }
  const advertised = state.adverts.find((advert) => advert.silo === silo)?.maskKey;
  return advertised !== undefined && equalBytes(advertised, x25519Public(secret));
}

/** The masks that take those of the plan out again. */
export function counterMasks({ seedKeys, pairMasks }: UnmaskPlan): readonly Mask[] {
  return [
    ...Array.from(seedKeys.values(), (key): Mask => ({ key, sign: -1 })),
    ...pairMasks.map(({ key, sign }): Mask => ({ key, sign: sign === 1 ? -1 : 1 })),
  ];
}

/**
 * Takes every mask of the plan out of `sum` (Σ of the survivors' masked vectors, mod 2^32), in
 * place; what remains is the sum of the encoded vectors.
 * @param firstWord where `sum` starts in the whole vector, a multiple of 4, to work in pieces.
 */
export function removeMasks(sum: Uint32Array, plan: UnmaskPlan, firstWord = 0): void {
  applyMasks(sum, counterMasks(plan), firstWord);
}
