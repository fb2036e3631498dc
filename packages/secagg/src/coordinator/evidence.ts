import { MedleyError } from '@medley/kit';
import type { Evidence } from '../dispute/judge.ts';
import type { HeldShare, SharingEvidence } from '../dispute/sharing.ts';
import type { SessionTerms } from '../session.ts';
import { placeOf } from '../silo/mask.ts';
import { deliveredTo } from '../wire/boxTree.ts';
import type { SecretKind } from '../wire/frame.ts';
import type { Complaint } from '../wire/messages.ts';
import { survivorsOf, type CoordinatorState } from './state.ts';

/** The hash that silo `from` signed for the share of a secret that silo `to` holds. */
export function committedHash(
  state: CoordinatorState,
  kind: SecretKind,
  { from, to }: { readonly from: number; readonly to: number },
): Uint8Array | undefined {
  const message = state.shares.find(({ silo }) => silo === from);
  if (from === to) return kind === 'seed' ? message?.ownSeedHash : undefined;
  const entry = message?.boxes.find((box) => box.to === to);
  return kind === 'seed' ? entry?.seedHash : entry?.keyHash;
}

/**
 * What a third party needs to convict a silo whose shares do not give back its secret, from the releases
 * of a `complete` session ({@link brokenSharers} names such silos). Throws SECAGG_SILO_ABSENT.
 */
export function sharingEvidence(
  terms: SessionTerms,
  state: CoordinatorState,
  silo: number,
): SharingEvidence {
  const accused = state.adverts.find((advert) => advert.silo === silo);
  const message = state.shares.find((one) => one.silo === silo);
  if (!accused || !message) throw new MedleyError('SECAGG_SILO_ABSENT', `silo ${silo} shared none`);
  const kind = survivorsOf(state).includes(silo) ? 'seed' : 'key';
  const shares = state.releases.slice(0, terms.threshold).flatMap((release): HeldShare[] => {
    const list = kind === 'seed' ? release.seedShares : release.keyShares;
    const share = list.find(({ of }) => of === silo)?.share;
    const box = deliveredTo(state.sid, message, release.silo) ?? null;
    const { at } = placeOf(state.adverts, silo, release.silo);
    return share === undefined ? [] : [{ holder: release.silo, share, box, at }];
  });
  return { kind, accused, count: message.boxes.length, shares };
}

/** What a third party needs to judge a complaint. Throws SECAGG_SILO_ABSENT for one about a stranger. */
export function evidenceOf(state: CoordinatorState, complaint: Complaint): Evidence {
  const { silo, about } = complaint;
  const accused = state.adverts.find((advert) => advert.silo === about);
  const accuser = state.adverts.find((advert) => advert.silo === silo);
  const shares = state.shares.find((message) => message.silo === about);
  const box = shares && deliveredTo(state.sid, shares, silo);
  if (!accused || !accuser || !box) {
    throw new MedleyError('SECAGG_SILO_ABSENT', `silo ${about} sent silo ${silo} no box`);
  }
  const { at, count } = placeOf(state.adverts, about, silo);
  return { complaint, accused, accuser, box, at, count };
}
