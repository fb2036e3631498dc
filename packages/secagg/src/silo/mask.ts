import { MedleyError, equalBytes, sha256 } from '@medley/kit';
import { vectorBytes } from '../arithmetic/ring.ts';
import type { SharePair } from '../crypto/boxes.ts';
import { x25519Agreement, type IdentitySigner } from '../crypto/keys.ts';
import type { Masker } from '../crypto/masker.ts';
import { applyMasks, pairMaskKey, pairSign, selfMaskKey, type Mask } from '../crypto/masks.ts';
import { layoutLength, quorum } from '../session.ts';
import { openDelivered } from '../dispute/judge.ts';
import { checkDelivered } from '../wire/boxTree.ts';
import { plainHash, setHash } from '../wire/frame.ts';
import {
  decodeShareDelivery,
  deliveryBytes,
  maskedBytes,
  type Advert,
  type MaskedHeader,
  type ShareDelivery,
} from '../wire/messages.ts';
import { packVector } from '../wire/packed.ts';
import { signed } from '../wire/signing.ts';
import { outOfOrder, type MaskedSilo, type SharedSilo, type SiloState } from './state.ts';

/** What R2 gives: the header to sign for and the masked vector to upload (owned by the caller). */
export interface MaskedVector {
  readonly state: MaskedSilo;
  readonly message: MaskedHeader;
  readonly masked: Uint32Array;
  /** What is uploaded: the masked vector packed at the width of its slots' rings. */
  readonly wire: Uint8Array;
}

/**
 * R2. Opens the boxes of the others, then masks `encoded` (not altered) with the silo's own mask and
 * one mask for every other member of U1. One vector per session: the same vector again gives the
 * same bytes, another is SECAGG_VECTOR_REUSED.
 *
 * Throws SECAGG_LENGTH, SECAGG_MESSAGE_MALFORMED, SECAGG_SHARERS_INVALID (this silo missing, a silo
 * that did not advertise, boxes that are not U1 without this silo), SECAGG_TOO_FEW,
 * SECAGG_SIGNATURE_INVALID for a box that its sender did not sign, SECAGG_BOX_INVALID naming the sender
 * of one that does not hold what was signed ({@link complain} says so with a proof),
 * SECAGG_OUT_OF_ORDER; SECAGG_EQUIVOCATION for another delivery than the first time.
 */
export function mask(
  state: SiloState,
  delivery: ShareDelivery,
  encoded: Uint32Array,
  signer: IdentitySigner,
): MaskedVector {
  const prepared = prepareMask(state, delivery, encoded);
  const masked = encoded.slice();
  applyMasks(masked, prepared.masks);
  return prepared.finish(masked, signer);
}

/** {@link mask} with the masks applied by `masker`, in its threads. Rejects with the same codes. */
export async function maskWith(
  masker: Masker,
  state: SiloState,
  delivery: ShareDelivery,
  encoded: Uint32Array,
  signer: IdentitySigner,
): Promise<MaskedVector> {
  const prepared = prepareMask(state, delivery, encoded);
  const masked = masker.vector(encoded.length);
  masked.set(encoded);
  await masker.apply(masked, prepared.masks);
  return prepared.finish(masked, signer);
}

interface PreparedMask {
  readonly masks: readonly Mask[];
  /** `masked` is the encoded vector with all the masks applied. */
  finish(masked: Uint32Array, signer: IdentitySigner): MaskedVector;
}

function prepareMask(
  state: SiloState,
  delivery: ShareDelivery,
  encoded: Uint32Array,
): PreparedMask {
  const decoded = decodeShareDelivery(delivery);
  if (state.phase !== 'shared' && state.phase !== 'masked') throw outOfOrder('mask', state);
  if (encoded.length !== layoutLength(state.terms.layout)) {
    throw new MedleyError(
      'SECAGG_LENGTH',
      `${encoded.length} words for ${layoutLength(state.terms.layout)} coordinates`,
    );
  }
  const deliveryHash = sha256(deliveryBytes(state.sid, decoded));
  const commitment = plainHash(state.sid, state.me, state.auditSalt, vectorBytes(encoded));
  if (state.phase === 'masked') {
    checkRepeat(state, deliveryHash, commitment);
    return {
      masks: masksOf(state, decoded.sharers),
      finish: (masked) => ({
        ...{ state, message: state.header, masked },
        wire: packVector(state.terms.layout, masked),
      }),
    };
  }
  checkDelivery(state, decoded);
  const { sharers } = decoded;
  const shares = sharesOf(state, openBoxes(state, decoded));
  const { terms, sid, me, maskPrivate, seed, auditSalt, adverts } = state;
  return {
    masks: masksOf(state, sharers),
    finish: (masked, signer) => {
      const wire = packVector(terms.layout, masked);
      const unsigned = {
        silo: me,
        vectorHash: sha256(wire),
        sharersHash: setHash(sid, sharers),
        plainHash: commitment,
      };
      const header = signed<MaskedHeader>(unsigned, maskedBytes(sid, unsigned), signer);
      const next: MaskedSilo = {
        phase: 'masked',
        ...{ terms, sid, me, maskPrivate, seed, auditSalt, adverts },
        ...{ sharers, deliveryHash, ...shares, header },
      };
      return { state: next, message: header, masked, wire };
    },
  };
}

function checkRepeat(state: MaskedSilo, deliveryHash: Uint8Array, commitment: Uint8Array): void {
  if (!equalBytes(deliveryHash, state.deliveryHash)) {
    throw new MedleyError('SECAGG_EQUIVOCATION', 'a second delivery of shares in one session');
  }
  if (!equalBytes(commitment, state.header.plainHash)) {
    throw new MedleyError('SECAGG_VECTOR_REUSED', 'another vector under the same masks');
  }
}

/**
 * Every box that is addressed to this silo, opened and compared with what its sender committed to, or
 * the first that does not hold, named by its sender. Throws as {@link mask} does where the fault is the
 * aggregator's: SECAGG_SHARERS_INVALID, SECAGG_TOO_FEW, SECAGG_SIGNATURE_INVALID.
 */
export function inspectDelivery(
  state: SharedSilo,
  delivery: ShareDelivery,
): { readonly faulty: number | undefined } {
  const decoded = decodeShareDelivery(delivery);
  checkDelivery(state, decoded);
  return { faulty: openBoxes(state, decoded).find(({ pair }) => pair === undefined)?.of };
}

function checkDelivery(state: SharedSilo, delivery: ShareDelivery): void {
  const { terms, sid, me, adverts } = state;
  const { sharers, boxes } = delivery;
  const fault = (what: string) => new MedleyError('SECAGG_SHARERS_INVALID', what);
  if (!sharers.includes(me)) throw fault(`silo ${me} itself is missing`);
  const stranger = sharers.find((silo) => !adverts.some((advert) => advert.silo === silo));
  if (stranger !== undefined) throw fault(`silo ${stranger} did not advertise`);
  const others = sharers.filter((silo) => silo !== me);
  if (boxes.length !== others.length || boxes.some((box, i) => box.from !== others[i])) {
    throw fault('the boxes are not those of the sharers');
  }
  if (sharers.length < quorum(terms)) {
    throw new MedleyError('SECAGG_TOO_FEW', `${sharers.length} sharers of ${quorum(terms)} needed`);
  }
  for (const delivered of boxes) {
    checkDelivered({ terms, sid }, delivered, placeOf(adverts, delivered.from, me));
  }
}

/** Where the box of silo `from` for silo `to` stands among those of its sender. */
export function placeOf(
  adverts: readonly Pick<Advert, 'silo'>[],
  from: number,
  to: number,
): { readonly to: number; readonly at: number; readonly count: number } {
  const addressees = adverts.map(({ silo }) => silo).filter((silo) => silo !== from);
  return { to, at: addressees.indexOf(to), count: addressees.length };
}

interface OpenedBox {
  /** Whose secrets the shares are of. */
  readonly of: number;
  /** Undefined where the box does not hold what its sender committed to. */
  readonly pair: SharePair | undefined;
}

function openBoxes(state: SharedSilo, delivery: ShareDelivery): readonly OpenedBox[] {
  const { sid, me } = state;
  const agree = x25519Agreement(state.channelPrivate);
  return delivery.boxes.map((delivered) => {
    // checkDelivery: every sender advertised.
    const advert = state.adverts.find(({ silo }) => silo === delivered.from)!;
    const agreed = agree(advert.channelKey);
    return { of: delivered.from, pair: openDelivered(agreed, { sid, to: me }, delivered) };
  });
}

function sharesOf(
  state: SharedSilo,
  boxes: readonly OpenedBox[],
): Pick<MaskedSilo, 'seedShares' | 'keyShares'> {
  const { me } = state;
  const opened = boxes.map(({ of, pair }) => {
    if (pair !== undefined) return { of, ...pair };
    throw new MedleyError('SECAGG_BOX_INVALID', `box of silo ${of} for silo ${me}`);
  });
  const seedShares = [
    ...opened.map(({ of, seedShare }) => ({ of, share: seedShare })),
    { of: me, share: state.ownSeedShare },
  ].sort((a, b) => a.of - b.of);
  return { seedShares, keyShares: opened.map(({ of, keyShare }) => ({ of, share: keyShare })) };
}

/** y = x + PRG(b) + Σ_{v<u} PRG(k_uv) − Σ_{v>u} PRG(k_uv) (Bonawitz et al. 2017, fig. 4, round 2). */
function masksOf(state: SharedSilo | MaskedSilo, sharers: readonly number[]): readonly Mask[] {
  const { sid, me, adverts } = state;
  const agree = x25519Agreement(state.maskPrivate);
  const pairs = adverts
    .filter(({ silo }) => silo !== me && sharers.includes(silo))
    .map(({ silo, maskKey }) => ({
      key: pairMaskKey(agree(maskKey), sid, me, silo),
      sign: pairSign(me, silo),
    }));
  return [{ key: selfMaskKey(state.seed, sid, me), sign: 1 }, ...pairs];
}
