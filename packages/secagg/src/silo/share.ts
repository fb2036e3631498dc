import { MedleyError, concatBytes, equalBytes, sha256, type Rng } from '@medley/kit';
import { randomElement, splitSecret } from '../arithmetic/shamir.ts';
import { sealBox } from '../crypto/boxes.ts';
import { x25519Agreement, x25519Public, type IdentitySigner } from '../crypto/keys.ts';
import { checkTerms, quorum, rosterEntry, sessionId, type SessionTerms } from '../session.ts';
import { signedShares } from '../wire/boxTree.ts';
import { seedCommitment, shareHash } from '../wire/frame.ts';
import {
  advertBytes,
  decodeAdvert,
  sameMessage,
  type Advert,
  type SharesMessage,
} from '../wire/messages.ts';
import { checkAdvert, checkDistinct, checkOncePerSilo, signed } from '../wire/signing.ts';
import { outOfOrder, type AdvertisedSilo, type SharedSilo, type SiloState } from './state.ts';

/**
 * R0. Checks the terms ({@link checkTerms}), makes fresh channel and mask keys for silo `me` and
 * signs them. Every call makes new keys: a lost state is a lost attempt.
 *
 * @param rng cryptographic; the private keys come from it.
 * Throws SECAGG_TERMS_*, SECAGG_SILO_UNKNOWN.
 */
export function advertise(
  terms: SessionTerms,
  me: number,
  signer: IdentitySigner,
  rng: Rng,
): { readonly state: AdvertisedSilo; readonly message: Advert } {
  checkTerms(terms);
  rosterEntry(terms, me);
  const sid = sessionId(terms);
  const channelPrivate = rng.bytes(32);
  // Below the field prime, because this key is the secret that is shared in R1.
  const maskPrivate = randomElement(rng);
  const unsigned = {
    silo: me,
    channelKey: x25519Public(channelPrivate),
    maskKey: x25519Public(maskPrivate),
  };
  const advert = signed<Advert>(unsigned, advertBytes(sid, unsigned), signer);
  const state: AdvertisedSilo = {
    phase: 'advertised',
    terms,
    sid,
    me,
    channelPrivate,
    maskPrivate,
    advert,
  };
  return { state, message: advert };
}

/**
 * R1. Checks every advert against the pinned roster, draws the self-mask seed b and shares b and the
 * mask key among all advertisers, one encrypted box each.
 *
 * Throws SECAGG_MESSAGE_MALFORMED, SECAGG_DUPLICATE, SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID,
 * SECAGG_KEY_WEAK, SECAGG_KEY_REUSED, SECAGG_KEY_MISSING (own advert absent or altered),
 * SECAGG_TOO_FEW, SECAGG_OUT_OF_ORDER; SECAGG_EQUIVOCATION for other adverts than the first time.
 */
export function share(
  state: SiloState,
  adverts: readonly Advert[],
  signer: IdentitySigner,
  rng: Rng,
): { readonly state: SharedSilo; readonly message: SharesMessage } {
  const sorted = adverts.map((advert) => decodeAdvert(advert)).sort((a, b) => a.silo - b.silo);
  if (state.phase === 'shared') {
    if (equalBytes(digest(state.sid, sorted), digest(state.sid, state.adverts))) {
      return { state, message: state.shares };
    }
    throw new MedleyError('SECAGG_EQUIVOCATION', 'a second list of adverts in one session');
  }
  if (state.phase !== 'advertised') throw outOfOrder('share', state);
  checkAdverts(state, sorted);
  return shareSecrets(state, sorted, signer, rng);
}

function checkAdverts(state: AdvertisedSilo, sorted: readonly Advert[]): void {
  const { terms, sid, me } = state;
  checkOncePerSilo(sorted, 'adverts');
  for (const advert of sorted) checkAdvert({ terms, sid }, advert);
  const own = sorted.find((advert) => advert.silo === me);
  const bytes = (advert: Advert) => advertBytes(sid, advert);
  if (own === undefined || !sameMessage(bytes, own, state.advert)) {
    throw new MedleyError('SECAGG_KEY_MISSING', `own advert of silo ${me}`);
  }
  checkDistinct(sorted);
  if (sorted.length < quorum(terms)) {
    throw new MedleyError('SECAGG_TOO_FEW', `${sorted.length} adverts of ${quorum(terms)} needed`);
  }
}

function shareSecrets(
  state: AdvertisedSilo,
  adverts: readonly Advert[],
  signer: IdentitySigner,
  rng: Rng,
): { readonly state: SharedSilo; readonly message: SharesMessage } {
  const { terms, sid, me, maskPrivate, channelPrivate } = state;
  const indices = adverts.map((advert) => advert.silo);
  const seed = randomElement(rng);
  const seedShares = splitSecret(seed, terms.threshold, indices, rng);
  const keyShares = splitSecret(maskPrivate, terms.threshold, indices, rng);
  const agree = x25519Agreement(channelPrivate);
  const boxes = adverts.flatMap((advert, i) => {
    if (advert.silo === me) return [];
    const pair = { seedShare: seedShares[i]!.share, keyShare: keyShares[i]!.share };
    const address = { sid, from: me, to: advert.silo };
    return [
      {
        to: advert.silo,
        box: sealBox(agree(advert.channelKey), address, pair, rng),
        seedHash: shareHash(sid, 'seed', address, pair.seedShare),
        keyHash: shareHash(sid, 'key', address, pair.keyShare),
      },
    ];
  });
  // checkAdverts: this silo is among the adverts.
  const ownSeedShare = seedShares[indices.indexOf(me)]!.share;
  const unsigned = {
    ...{ silo: me, boxes, seedCommitment: seedCommitment(sid, me, seed) },
    ownSeedHash: shareHash(sid, 'seed', { from: me, to: me }, ownSeedShare),
  };
  const message = signed<SharesMessage>(unsigned, signedShares(sid, unsigned), signer);
  const next: SharedSilo = {
    phase: 'shared',
    terms,
    sid,
    me,
    channelPrivate,
    maskPrivate,
    seed,
    ownSeedShare,
    auditSalt: rng.bytes(32),
    adverts,
    shares: message,
  };
  return { state: next, message };
}

function digest(sid: Uint8Array, adverts: readonly Advert[]): Uint8Array {
  const parts = adverts.map((advert) => concatBytes(advertBytes(sid, advert), advert.signature));
  return sha256(...parts);
}
