import { equalBytes } from '@medley/kit';
import { BOX_BYTES } from '../crypto/boxes.ts';
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

/** R1. The silo's secrets, shared: one box for every other advertiser, ascending by `to`. */
export interface SharesMessage {
  readonly silo: number;
  readonly boxes: readonly { readonly to: number; readonly box: Uint8Array }[];
  readonly seedCommitment: Uint8Array;
  readonly signature: Uint8Array;
}

/** What the aggregator passes on after R1: U1, and the boxes for one silo, ascending by `from`. */
export interface ShareDelivery {
  readonly sharers: readonly number[];
  readonly boxes: readonly { readonly from: number; readonly box: Uint8Array }[];
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

/** The bytes that a shares message signs. */
export function sharesBytes(sid: Uint8Array, message: Unsigned<SharesMessage>): Uint8Array {
  const boxes = message.boxes.flatMap(({ to, box }) => [to, box]);
  const head = [message.silo, message.seedCommitment, message.boxes.length];
  return frame('share', sid, ...head, ...boxes);
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
  const boxes = delivery.boxes.flatMap(({ from, box }) => [from, box]);
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
    return { to: indexOf(entry['to'], `${where}.to`), box: boxOf(entry['box'], `${where}.box`) };
  });
  return {
    silo: indexOf(fields['silo'], `${what}.silo`),
    boxes: ascendingBy(boxes, (entry) => entry.to, `${what}.boxes`),
    seedCommitment: bytesOf(fields['seedCommitment'], 32, `${what}.seedCommitment`),
    signature: bytesOf(fields['signature'], 64, `${what}.signature`),
  };
}

/** A share delivery from the wire. */
export function decodeShareDelivery(value: unknown, what = 'delivery'): ShareDelivery {
  const fields = recordOf(value, what);
  const boxes = listOf(fields['boxes'], `${what}.boxes`, (item, where) => {
    const entry = recordOf(item, where);
    return {
      from: indexOf(entry['from'], `${where}.from`),
      box: boxOf(entry['box'], `${where}.box`),
    };
  });
  return {
    sharers: siloSetOf(fields['sharers'], `${what}.sharers`),
    boxes: ascendingBy(boxes, (entry) => entry.from, `${what}.boxes`),
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

function boxOf(value: unknown, what: string): Uint8Array {
  return bytesOf(value, BOX_BYTES, what);
}
