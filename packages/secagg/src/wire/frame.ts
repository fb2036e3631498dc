import { concatBytes, sha256, utf8 } from '@medley/kit';

/** A field of a frame: a number as 4 big-endian bytes, bytes as they are (fixed length), a list counted. */
export type FrameField = number | Uint8Array | readonly number[];

/**
 * The one byte layout for whatever is signed, hashed or authenticated:
 * `medley/secagg/v1/<what>`, a zero byte, the session id (32), then the fields in order.
 * Unambiguous because every `what` has one fixed sequence of fields, and lists carry their count.
 */
export function frame(what: string, sid: Uint8Array, ...fields: readonly FrameField[]): Uint8Array {
  return concatBytes(utf8(`medley/secagg/v1/${what}\0`), sid, ...fields.map(fieldBytes));
}

/** SHA-256 of a set of silos (U1 or U2), given in ascending order. */
export function setHash(sid: Uint8Array, silos: readonly number[]): Uint8Array {
  return sha256(frame('set', sid, silos));
}

/** Silo `silo`'s commitment to its self-mask seed b. */
export function seedCommitment(sid: Uint8Array, silo: number, seed: Uint8Array): Uint8Array {
  return sha256(frame('seed', sid, silo, seed));
}

/** Which secret of a silo a share is of: the seed of its own mask, or its mask key. */
export type SecretKind = 'seed' | 'key';

/**
 * What silo `from` signs for the share of a secret that silo `to` holds. It hides the share, which is
 * as good as random on 256 bits, and binds the sender to it.
 */
export function shareHash(
  sid: Uint8Array,
  kind: SecretKind,
  { from, to }: { readonly from: number; readonly to: number },
  share: Uint8Array,
): Uint8Array {
  return sha256(frame(`${kind}-share`, sid, from, to, share));
}

/**
 * The commitment to a silo's vector before masking, which an audit can open with vector and salt.
 * @param salt 32 random bytes kept by the silo; `vector` in wire form.
 */
export function plainHash(
  sid: Uint8Array,
  silo: number,
  salt: Uint8Array,
  vector: Uint8Array,
): Uint8Array {
  return sha256(frame('plain', sid, silo, salt), vector);
}

function fieldBytes(field: FrameField): Uint8Array {
  if (field instanceof Uint8Array) return field;
  const words = typeof field === 'number' ? [field] : [field.length, ...field];
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(4 * i, word));
  return bytes;
}
