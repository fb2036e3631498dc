import { MedleyError, concatBytes, utf8 } from '@medley/kit';
import { isSignature, signMessage, type WitnessKey } from './key.ts';

const TIME_BYTES = 8;

/**
 * What a witness signs at `timeS` (seconds since 1970) about a checkpoint: the header and time lines,
 * then the whole note text. C2SP tlog-cosignature, "Ed25519 signed message".
 */
export function cosignatureMessage(timeS: number, noteText: string): Uint8Array {
  return utf8(`cosignature/v1\ntime ${timeS}\n${noteText}`);
}

/**
 * The payload of a type 0x04 signature: the time as big-endian uint64, then Ed25519. Throws
 * MERKLE_RANGE when `timeS` is no whole number of seconds after 1970, MERKLE_KEY_INVALID.
 */
export function signCosignature(noteText: string, key: WitnessKey, timeS: number): Uint8Array {
  if (!Number.isSafeInteger(timeS) || timeS < 1) {
    throw new MedleyError('MERKLE_RANGE', `time ${timeS} is no whole number of seconds`);
  }
  const time = new Uint8Array(TIME_BYTES);
  new DataView(time.buffer).setBigUint64(0, BigInt(timeS));
  return concatBytes(time, signMessage(key, cosignatureMessage(timeS, noteText)));
}

/**
 * The time (seconds since 1970) at which the witness vouched, or undefined when the payload is not
 * its cosignature of `noteText`. Never throws. A time in the future is the caller's to judge.
 */
export function cosignatureTimeS(
  noteText: string,
  publicKey: Uint8Array,
  payload: Uint8Array,
): number | undefined {
  if (payload.length < TIME_BYTES) return undefined;
  const timeS = Number(new DataView(payload.buffer, payload.byteOffset).getBigUint64(0));
  // Beyond 2^53 the number is no longer the one that was signed; the year would be 285 million.
  if (!Number.isSafeInteger(timeS)) return undefined;
  const message = cosignatureMessage(timeS, noteText);
  return isSignature(publicKey, message, payload.subarray(TIME_BYTES)) ? timeS : undefined;
}
