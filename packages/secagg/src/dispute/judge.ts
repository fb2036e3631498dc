import { MedleyError, equalBytes, isMedleyError } from '@medley/kit';
import { openBox, type SharePair } from '../crypto/boxes.ts';
import { checkDelivered } from '../wire/boxTree.ts';
import { shareHash } from '../wire/frame.ts';
import {
  complaintBytes,
  decodeAdvert,
  decodeComplaint,
  decodeDeliveredBox,
  type Advert,
  type Complaint,
  type DeliveredBox,
} from '../wire/messages.ts';
import { recordOf } from '../wire/fields.ts';
import { fromJsonBytes, toJsonBytes } from '../wire/json.ts';
import { checkAdvert, checkSignature, type Session } from '../wire/signing.ts';
import { isAgreementProven } from './agreementProof.ts';
import { pointAbove } from './edwards.ts';

/** All that is needed to judge one complaint; nothing in it has to be believed. */
export interface Evidence {
  readonly complaint: Complaint;
  /** R0 of the silo that is complained about, and of the one that complains. */
  readonly accused: Advert;
  readonly accuser: Advert;
  /** The box, under the signature of the accused. */
  readonly box: DeliveredBox;
  /** Place of the box among those of its sender, and their number. */
  readonly at: number;
  readonly count: number;
}

/** The pair of shares in a box when it opens and holds what its sender committed to, else undefined. */
export function openDelivered(
  agreed: Uint8Array,
  { sid, to }: { readonly sid: Uint8Array; readonly to: number },
  { from, box, seedHash, keyHash }: DeliveredBox,
): SharePair | undefined {
  const address = { sid, from, to };
  try {
    const pair = openBox(agreed, address, box);
    const holds =
      equalBytes(seedHash, shareHash(sid, 'seed', address, pair.seedShare)) &&
      equalBytes(keyHash, shareHash(sid, 'key', address, pair.keyShare));
    return holds ? pair : undefined;
  } catch (caught) {
    if (isMedleyError(caught) && caught.code === 'SECAGG_BOX_INVALID') return undefined;
    throw caught;
  }
}

/**
 * Returns when the evidence shows that the accused signed a box which does not hold what it committed
 * to: the accused alone can have made it so. A complaint about an honest silo cannot succeed, whoever
 * makes it, because its box opens under the proven key.
 *
 * Throws SECAGG_MESSAGE_MALFORMED, SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID and SECAGG_KEY_WEAK for
 * evidence that is not the two silos' own, SECAGG_COMPLAINT_FALSE for a complaint that is: then the
 * accuser's signature stands under a falsehood.
 */
export function judge(session: Session, evidence: Evidence): void {
  const { complaint, accused, accuser, box, at, count } = decodeEvidence(evidence);
  const { terms, sid } = session;
  const { silo, about, agreed, proof } = complaint;
  const isAboutThese = silo === accuser.silo && about === accused.silo && about === box.from;
  if (!isAboutThese || silo === about) {
    throw new MedleyError('SECAGG_MESSAGE_MALFORMED', 'evidence of other silos');
  }
  checkSignature(terms, 'complaint', complaint, complaintBytes(sid, complaint));
  checkAdvert(session, accused);
  checkAdvert(session, accuser);
  checkDelivered(session, box, { to: silo, at, count });
  // X25519 makes no key on the twist, so whoever advertised one had no private key to it.
  if (pointAbove(accused.channelKey) === undefined) return;
  const agreement = {
    ...{ sid, prover: silo, peer: about, agreed },
    ...{ proverKey: accuser.channelKey, peerKey: accused.channelKey },
  };
  const isProven = isAgreementProven(agreement, proof);
  if (isProven && openDelivered(agreed, { sid, to: silo }, box) === undefined) return;
  const why = isProven ? 'the box opens' : 'the key is not proven';
  throw new MedleyError('SECAGG_COMPLAINT_FALSE', `silo ${silo} about silo ${about}: ${why}`);
}

/** Evidence as UTF-8 JSON with bytes as {"base64": …}, as it stands in the audit log. */
export function serializeEvidence(evidence: Evidence): Uint8Array {
  return toJsonBytes(evidence);
}

/** The inverse of {@link serializeEvidence}. Throws SECAGG_MESSAGE_MALFORMED. */
export function deserializeEvidence(bytes: Uint8Array): Evidence {
  return decodeEvidence(fromJsonBytes(bytes));
}

function decodeEvidence(value: unknown): Evidence {
  const fields = recordOf(value, 'evidence');
  const whole = (name: string): number => {
    const number = fields[name];
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
    throw new MedleyError('SECAGG_MESSAGE_MALFORMED', `evidence: ${name}`);
  };
  return {
    complaint: decodeComplaint(fields['complaint']),
    accused: decodeAdvert(fields['accused']),
    accuser: decodeAdvert(fields['accuser']),
    box: decodeDeliveredBox(fields['box']),
    at: whole('at'),
    count: whole('count'),
  };
}
