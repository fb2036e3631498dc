import { MedleyError, equalBytes } from '@medley/kit';
import { combine, lagrangeAtZero } from '../arithmetic/shamir.ts';
import { x25519Public } from '../crypto/keys.ts';
import { checkDelivered } from '../wire/boxTree.ts';
import { seedCommitment, shareHash, type SecretKind } from '../wire/frame.ts';
import { ascendingBy, bytesOf, indexOf, listOf, recordOf } from '../wire/fields.ts';
import { fromJsonBytes, toJsonBytes } from '../wire/json.ts';
import {
  decodeAdvert,
  decodeDeliveredBox,
  type Advert,
  type DeliveredBox,
} from '../wire/messages.ts';
import { checkAdvert, type Session } from '../wire/signing.ts';

/** One holder's share, and the box under whose hash it stands. */
export interface HeldShare {
  readonly holder: number;
  readonly share: Uint8Array;
  /** What the accused sent the holder; undefined for the share that the accused keeps itself. */
  readonly box: DeliveredBox | null;
  /** Place of the box among those of its sender. */
  readonly at: number;
}

/** That t shares, each under the hash that the accused signed, do not give back what it committed to. */
export interface SharingEvidence {
  readonly kind: SecretKind;
  readonly accused: Advert;
  /** Boxes that the accused sent. */
  readonly count: number;
  /** Exactly t, ascending by holder. */
  readonly shares: readonly HeldShare[];
}

const FORMAT = 'medley/secagg/v2/sharing';

/**
 * Returns when the evidence convicts the accused. It cannot convict an honest silo: any t of the shares
 * whose hashes it signed give back its secret.
 *
 * Throws SECAGG_MESSAGE_MALFORMED, SECAGG_SILO_UNKNOWN, SECAGG_SIGNATURE_INVALID, SECAGG_KEY_WEAK,
 * SECAGG_SHARES_INVALID for evidence that is none, SECAGG_COMPLAINT_FALSE where the shares fit.
 */
export function judgeSharing(session: Session, evidence: SharingEvidence): void {
  const { terms, sid } = session;
  const { kind, accused, count, shares } = evidence;
  const malformed = (what: string): MedleyError =>
    new MedleyError('SECAGG_MESSAGE_MALFORMED', `evidence of a sharing: ${what}`);
  if (shares.length !== terms.threshold) throw malformed('not t shares');
  checkAdvert(session, accused);
  const head = shares.find(({ box }) => box !== null)?.box;
  if (!head) throw malformed('no box');
  for (const { holder, share, box, at } of shares) {
    if (box) {
      const isOfThese = box.from === accused.silo && equalBytes(box.root, head.root);
      if (!isOfThese || holder === accused.silo) throw malformed('a box of another message');
      checkDelivered(session, box, { to: holder, at, count });
    } else if (holder !== accused.silo || kind !== 'seed') throw malformed('a box is missing');
    const signedHash = box ? (kind === 'seed' ? box.seedHash : box.keyHash) : head.ownSeedHash;
    const address = { from: accused.silo, to: holder };
    if (!equalBytes(signedHash, shareHash(sid, kind, address, share))) {
      throw malformed(`the share of silo ${holder} is not the one that was signed for`);
    }
  }
  const coefficients = lagrangeAtZero(shares.map(({ holder }) => holder));
  const secret = combine(
    coefficients,
    shares.map(({ share }) => share),
  );
  const fits =
    kind === 'seed'
      ? equalBytes(head.seedCommitment, seedCommitment(sid, accused.silo, secret))
      : equalBytes(accused.maskKey, x25519Public(secret));
  if (fits) throw new MedleyError('SECAGG_COMPLAINT_FALSE', `shares of silo ${accused.silo} fit`);
}

/** The evidence as UTF-8 JSON with bytes as {"base64": …}. */
export function serializeSharing(evidence: SharingEvidence): Uint8Array {
  return toJsonBytes({ format: FORMAT, ...evidence });
}

/**
 * The inverse of {@link serializeSharing}; undefined for bytes of anything else, as of a sum. Throws
 * SECAGG_MESSAGE_MALFORMED for bytes that only pretend to be it.
 */
export function deserializeSharing(bytes: Uint8Array): SharingEvidence | undefined {
  const value = fromJsonBytes(bytes);
  if (typeof value !== 'object' || value === null || !('format' in value)) return undefined;
  if (value.format !== FORMAT) return undefined;
  const { kind, accused, count, shares } = recordOf(value, 'evidence');
  if (kind !== 'seed' && kind !== 'key') {
    throw new MedleyError('SECAGG_MESSAGE_MALFORMED', 'evidence: kind');
  }
  const held = listOf(shares, 'evidence.shares', (item, what) => {
    const entry = recordOf(item, what);
    return {
      holder: indexOf(entry['holder'], `${what}.holder`),
      share: bytesOf(entry['share'], 32, `${what}.share`),
      box: entry['box'] === null ? null : decodeDeliveredBox(entry['box'], `${what}.box`),
      at: wholeOf(entry['at'], `${what}.at`),
    };
  });
  return {
    kind,
    accused: decodeAdvert(accused),
    count: wholeOf(count, 'evidence.count'),
    shares: ascendingBy(held, ({ holder }) => holder, 'evidence.shares'),
  };
}

function wholeOf(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= -1) return value;
  throw new MedleyError('SECAGG_MESSAGE_MALFORMED', what);
}
