import { equalBytes } from '@medley/kit';
import { BOX_BYTES } from '../crypto/boxes.ts';
import { PROOF_BYTES } from '../dispute/agreementProof.ts';
import { ascendingBy, bytesOf, indexOf, listOf, recordOf, siloSetOf } from './fields.ts';
import { frame } from './frame.ts';

/** R0. Fresh X25519 public keys of one silo for one session. */
export interface Advert {
  readonly silo: number;
  /** c: encrypts shares; raw, 32 bytes. */
  readonly channelKey: Uint8Array;
  /** s: agrees pairwise masks; raw, 32 bytes. */
  readonly maskKey: Uint8Array;
  readonly signature: Uint8Array;
}

/** What one silo is entrusted with: the encrypted shares, and the hash of each. */
export interface SealedShares {
  readonly box: Uint8Array;
  /** `shareHash` of the share of the sender's seed. */
  readonly seedHash: Uint8Array;
  /** `shareHash` of the share of the sender's mask key. */
  readonly keyHash: Uint8Array;
}

/** R1. The silo's secrets, shared: one box for every other advertiser, ascending by `to`. */
export interface SharesMessage {
  readonly silo: number;
  readonly boxes: readonly (SealedShares & { readonly to: number })[];
  readonly seedCommitment: Uint8Array;
  /** `shareHash` of the share of its own seed that the silo keeps. */
  readonly ownSeedHash: Uint8Array;
  readonly signature: Uint8Array;
}

/** One silo's box as its addressee gets it, with what shows that the sender signed for it. */
export interface DeliveredBox extends SealedShares {
  readonly from: number;
  readonly seedCommitment: Uint8Array;
  readonly ownSeedHash: Uint8Array;
  /** Root of the tree over all boxes of the sender. */
  readonly root: Uint8Array;
  /** From this box to the root: RFC 6962 section 2.1.1. */
  readonly path: readonly Uint8Array[];
  readonly signature: Uint8Array;
}

/** What the aggregator passes on after R1: U1, and the boxes for one silo, ascending by `from`. */
export interface ShareDelivery {
  readonly sharers: readonly number[];
  readonly boxes: readonly DeliveredBox[];
}

/**
 * In the place of R2: "what `about` signed for me does not open to what it committed to", with the key
 * that shows it.
 */
export interface Complaint {
  readonly silo: number;
  readonly about: number;
  /** What X25519 gives for the channel keys of the two; 32 bytes. */
  readonly agreed: Uint8Array;
  /** That it does (`proveAgreement`); zeros where the accused's key is on no curve. */
  readonly proof: Uint8Array;
  readonly signature: Uint8Array;
}

/** R2. Stands for the masked vector, which travels beside it. */
export interface MaskedHeader {
  readonly silo: number;
  /** SHA-256 of the masked vector's wire form. */
  readonly vectorHash: Uint8Array;
  readonly sharersHash: Uint8Array;
  /** Salted SHA-256 of the vector before masking: the silo's commitment for an audit. */
  readonly plainHash: Uint8Array;
  readonly signature: Uint8Array;
}

/** R3. "I saw this U2 out of this U1, and no other." */
export interface Confirmation {
  readonly silo: number;
  readonly survivorsHash: Uint8Array;
  readonly sharersHash: Uint8Array;
  readonly signature: Uint8Array;
}

/** A helper's share of silo `of`'s secret. */
export interface ShareOf {
  readonly of: number;
  readonly share: Uint8Array;
}

/** R4. Shares of b_v for v in U2, of s_v for v in U1∖U2; ascending by `of`. */
export interface Release {
  readonly silo: number;
  readonly seedShares: readonly ShareOf[];
  readonly keyShares: readonly ShareOf[];
  readonly signature: Uint8Array;
}

/** A message without its signature. */
export type Unsigned<Message> = Omit<Message, 'signature'>;

/** The bytes that an advert signs. */
export function advertBytes(sid: Uint8Array, message: Unsigned<Advert>): Uint8Array {
  return frame('advertise', sid, message.silo, message.channelKey, message.maskKey);
}

/** What a shares message signs: the boxes stand as their number and the root of their tree. */
export interface SharesHead {
  readonly silo: number;
  readonly seedCommitment: Uint8Array;
  readonly ownSeedHash: Uint8Array;
  readonly count: number;
  readonly root: Uint8Array;
}

/** The bytes that a shares message signs. */
export function sharesBytes(sid: Uint8Array, head: SharesHead): Uint8Array {
  const { silo, seedCommitment, ownSeedHash, count, root } = head;
  return frame('share', sid, silo, seedCommitment, ownSeedHash, count, root);
}

/** The bytes that a complaint signs. */
export function complaintBytes(sid: Uint8Array, message: Unsigned<Complaint>): Uint8Array {
  const { silo, about, agreed, proof } = message;
  return frame('complaint', sid, silo, about, agreed, proof);
}

/** The bytes that a masked header signs. */
export function maskedBytes(sid: Uint8Array, message: Unsigned<MaskedHeader>): Uint8Array {
  const { silo, vectorHash, sharersHash, plainHash } = message;
  return frame('masked', sid, silo, vectorHash, sharersHash, plainHash);
}

/** The bytes that a confirmation signs. */
export function confirmationBytes(sid: Uint8Array, message: Unsigned<Confirmation>): Uint8Array {
  return frame('survivors', sid, message.silo, message.survivorsHash, message.sharersHash);
}

/** The bytes that a release signs. */
export function releaseBytes(sid: Uint8Array, message: Unsigned<Release>): Uint8Array {
  const counted = (shares: readonly ShareOf[]) => [
    shares.length,
    ...shares.flatMap(({ of, share }) => [of, share]),
  ];
  const fields = [...counted(message.seedShares), ...counted(message.keyShares)];
  return frame('release', sid, message.silo, ...fields);
}

/** The bytes behind what a silo is handed after R1, to compare two deliveries. */
export function deliveryBytes(sid: Uint8Array, delivery: ShareDelivery): Uint8Array {
  // Root and signature fix all the rest.
  const boxes = delivery.boxes.flatMap(({ from, box, root, signature }) => [
    ...[from, box, root, signature],
  ]);
  return frame('delivery', sid, delivery.sharers, delivery.boxes.length, ...boxes);
}

/** True when two messages of one kind are the same bytes, signature included. */
export function sameMessage<Message extends { readonly signature: Uint8Array }>(
  bytes: (message: Message) => Uint8Array,
  a: Message,
  b: Message,
): boolean {
  return equalBytes(bytes(a), bytes(b)) && equalBytes(a.signature, b.signature);
}

/** An advert from the wire. Each decoder here throws SECAGG_MESSAGE_MALFORMED and nothing else. */
export function decodeAdvert(value: unknown, what = 'advert'): Advert {
  const fields = recordOf(value, what);
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    channelKey: bytesOf(fields['channelKey'], 32, `${what}.channelKey`),
    maskKey: bytesOf(fields['maskKey'], 32, `${what}.maskKey`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A shares message from the wire. */
export function decodeSharesMessage(value: unknown, what = 'shares'): SharesMessage {
  const fields = recordOf(value, what);
  const boxes = listOf(fields['boxes'], `${what}.boxes`, (item, where) => {
    const entry = recordOf(item, where);
    return { to: indexOf(entry['to'], `${where}.to`), ...sealedOf(entry, where) };
  });
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    boxes: ascendingBy(boxes, (entry) => entry.to, `${what}.boxes`),
    seedCommitment: bytesOf(fields['seedCommitment'], 32, `${what}.seedCommitment`),
    ownSeedHash: bytesOf(fields['ownSeedHash'], 32, `${what}.ownSeedHash`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A share delivery from the wire. */
export function decodeShareDelivery(value: unknown, what = 'delivery'): ShareDelivery {
  const fields = recordOf(value, what);
  const boxes = listOf(fields['boxes'], `${what}.boxes`, decodeDeliveredBox);
  return {
    sharers: siloSetOf(fields['sharers'], `${what}.sharers`),
    boxes: ascendingBy(boxes, (entry) => entry.from, `${what}.boxes`),
  };
}

/** One delivered box from the wire. */
export function decodeDeliveredBox(value: unknown, what = 'box'): DeliveredBox {
  const fields = recordOf(value, what);
  const hash = (name: string) => bytesOf(fields[name], 32, `${what}.${name}`);
  return {
    from: indexOf(fields['from'], `${what}.from`),
    ...sealedOf(fields, what),
    seedCommitment: hash('seedCommitment'),
    ownSeedHash: hash('ownSeedHash'),
    root: hash('root'),
    path: listOf(fields['path'], `${what}.path`, (item, where) => bytesOf(item, 32, where)),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A complaint from the wire. */
export function decodeComplaint(value: unknown, what = 'complaint'): Complaint {
  const fields = recordOf(value, what);
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    about: indexOf(fields['about'], `${what}.about`),
    agreed: bytesOf(fields['agreed'], 32, `${what}.agreed`),
    proof: bytesOf(fields['proof'], PROOF_BYTES, `${what}.proof`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A masked header from the wire. */
export function decodeMaskedHeader(value: unknown, what = 'masked header'): MaskedHeader {
  const fields = recordOf(value, what);
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    vectorHash: bytesOf(fields['vectorHash'], 32, `${what}.vectorHash`),
    sharersHash: bytesOf(fields['sharersHash'], 32, `${what}.sharersHash`),
    plainHash: bytesOf(fields['plainHash'], 32, `${what}.plainHash`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A confirmation from the wire. */
export function decodeConfirmation(value: unknown, what = 'confirmation'): Confirmation {
  const fields = recordOf(value, what);
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    survivorsHash: bytesOf(fields['survivorsHash'], 32, `${what}.survivorsHash`),
    sharersHash: bytesOf(fields['sharersHash'], 32, `${what}.sharersHash`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A release from the wire. */
export function decodeRelease(value: unknown, what = 'release'): Release {
  const fields = recordOf(value, what);
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    seedShares: shareListOf(fields['seedShares'], `${what}.seedShares`),
    keyShares: shareListOf(fields['keyShares'], `${what}.keyShares`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** Shares of several silos' secrets, ascending by `of`. */
export function shareListOf(value: unknown, what: string): readonly ShareOf[] {
  const shares = listOf(value, what, (item, where) => {
    const entry = recordOf(item, where);
    return {
      of: indexOf(entry['of'], `${where}.of`),
      share: bytesOf(entry['share'], 32, `${where}.share`),
    };
  });
  return ascendingBy(shares, (entry) => entry.of, what);
}

function sealedOf(fields: Readonly<Record<string, unknown>>, what: string): SealedShares {
  return {
    box: bytesOf(fields['box'], BOX_BYTES, `${what}.box`),
    seedHash: bytesOf(fields['seedHash'], 32, `${what}.seedHash`),
    keyHash: bytesOf(fields['keyHash'], 32, `${what}.keyHash`),
  };
}
