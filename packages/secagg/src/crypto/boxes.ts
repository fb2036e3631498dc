import { createCipheriv, createDecipheriv } from 'node:crypto';
import { MedleyError, concatBytes, type Rng } from '@medley/kit';
import { ELEMENT_BYTES, isFieldElement } from '../arithmetic/shamir.ts';
import { frame } from '../wire/frame.ts';
import { deriveKey } from './masks.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Bytes of a box: nonce, two encrypted shares, tag. */
export const BOX_BYTES = NONCE_BYTES + 2 * ELEMENT_BYTES + TAG_BYTES;

/** What silo `from` entrusts to silo `to`: its share of b_from and its share of s_from. */
export interface SharePair {
  readonly seedShare: Uint8Array;
  readonly keyShare: Uint8Array;
}

/** Whose box it is. */
export interface BoxAddress {
  readonly sid: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/**
 * AES-256-GCM of a share pair under HKDF(agreed, sid, "share", from, to), with sid, from and to as
 * associated data. The nonce is random although the key serves once: a step repeated after a lost
 * disk write must not meet the same nonce.
 */
export function sealBox(
  agreed: Uint8Array,
  address: BoxAddress,
  pair: SharePair,
  rng: Rng,
): Uint8Array {
  const nonce = rng.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', boxKey(agreed, address), nonce);
  cipher.setAAD(boxLabel(address));
  const sealed = cipher.update(concatBytes(pair.seedShare, pair.keyShare));
  cipher.final();
  return concatBytes(nonce, sealed, cipher.getAuthTag());
}

/** Opens what {@link sealBox} made. Throws SECAGG_BOX_INVALID naming the sender. */
export function openBox(agreed: Uint8Array, address: BoxAddress, box: Uint8Array): SharePair {
  const fault = (cause?: unknown) =>
    new MedleyError('SECAGG_BOX_INVALID', `box of silo ${address.from} for silo ${address.to}`, {
      cause,
    });
  if (box.length !== BOX_BYTES) throw fault();
  let plain: Uint8Array;
  try {
    const nonce = box.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', boxKey(agreed, address), nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(boxLabel(address));
    decipher.setAuthTag(box.subarray(BOX_BYTES - TAG_BYTES));
    plain = new Uint8Array(decipher.update(box.subarray(NONCE_BYTES, BOX_BYTES - TAG_BYTES)));
    decipher.final();
  } catch (cause) {
    throw fault(cause);
  }
  const pair = { seedShare: plain.slice(0, ELEMENT_BYTES), keyShare: plain.slice(ELEMENT_BYTES) };
  if (!isFieldElement(pair.seedShare) || !isFieldElement(pair.keyShare)) throw fault();
  return pair;
}

function boxKey(agreed: Uint8Array, { sid, from, to }: BoxAddress): Uint8Array {
  return deriveKey(agreed, sid, 'share', from, to);
}

function boxLabel({ sid, from, to }: BoxAddress): Uint8Array {
  return frame('box', sid, from, to);
}
