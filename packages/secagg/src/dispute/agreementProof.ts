import { createHash } from 'node:crypto';
import { concatBytes, equalBytes, type Rng } from '@medley/kit';
import { frame } from '../wire/frame.ts';
import {
  add,
  BASE,
  bytesOf,
  decodePoint,
  encodePoint,
  GROUP_ORDER,
  isInGroup,
  keyBelow,
  multiply,
  negate,
  numberOf,
  pointAbove,
  type Point,
} from './edwards.ts';

/** Bytes of a proof: two points, challenge, answer. */
export const PROOF_BYTES = 128;

/** Who agreed with whom, and on what; raw X25519 values of 32 bytes. */
export interface Agreement {
  readonly sid: Uint8Array;
  /** Roster indices of the one who proves and of the other. */
  readonly prover: number;
  readonly peer: number;
  readonly proverKey: Uint8Array;
  readonly peerKey: Uint8Array;
  /** X25519(private key behind `proverKey`, `peerKey`). */
  readonly agreed: Uint8Array;
}

/**
 * Proof that `agreed` is what X25519 gives for these two public keys, without the private key: equality
 * of two discrete logarithms (Chaum and Pedersen 1992), made non-interactive with SHA-512 (Fiat and
 * Shamir 1986). X25519 private keys are multiples of 8 (RFC 7748 section 5), k = 8w; what is proven is
 * that one w leads from 8·B to the prover's key and from 8·(peer's key) to the agreed value, so a part
 * of small order in the peer's key changes nothing. Undefined when the peer's key is not on the curve.
 *
 * Not constant in time. It is made once for a session that the prover leaves with it, about a key that
 * is dropped at once.
 */
export function proveAgreement(
  privateKey: Uint8Array,
  agreement: Agreement,
  rng: Rng,
): Uint8Array | undefined {
  const peer = pointAbove(agreement.peerKey);
  if (peer === undefined) return undefined;
  const w = clamped(privateKey) / 8n;
  const bases = [multiply(8n, BASE), multiply(8n, peer)] as const;
  const [own, shared] = [multiply(w, bases[0]), multiply(w, bases[1])];
  // 64 bytes: the bias of the reduction is below 2^−250.
  const r = numberOf(rng.bytes(64)) % GROUP_ORDER;
  const e = challenge(agreement, [own, shared, multiply(r, bases[0]), multiply(r, bases[1])]);
  const s = (r + e * w) % GROUP_ORDER;
  return concatBytes(encodePoint(own), encodePoint(shared), bytesOf(e), bytesOf(s));
}

/** True when `proof` shows that `agreed` belongs to the two keys; for any bytes, without throwing. */
export function isAgreementProven(agreement: Agreement, proof: Uint8Array): boolean {
  if (proof.length !== PROOF_BYTES) return false;
  const [own, shared] = [decodePoint(proof.slice(0, 32)), decodePoint(proof.slice(32, 64))];
  const [e, s] = [numberOf(proof.slice(64, 96)), numberOf(proof.slice(96))];
  const peer = pointAbove(agreement.peerKey);
  if (!own || !shared || !peer || e >= GROUP_ORDER || s >= GROUP_ORDER) return false;
  // Outside the group a point could hide a part that e, found by trial, takes away.
  if (!isInGroup(own) || !isInGroup(shared)) return false;
  if (!equalBytes(keyBelow(own), agreement.proverKey)) return false;
  if (!equalBytes(keyBelow(shared), agreement.agreed)) return false;
  const bases = [multiply(8n, BASE), multiply(8n, peer)] as const;
  const first = add(multiply(s, bases[0]), negate(multiply(e, own)));
  const second = add(multiply(s, bases[1]), negate(multiply(e, shared)));
  return e === challenge(agreement, [own, shared, first, second]);
}

function challenge(agreement: Agreement, points: readonly Point[]): bigint {
  const { sid, prover, peer, proverKey, peerKey, agreed } = agreement;
  const bytes = frame(
    'agreement',
    sid,
    ...[prover, peer, proverKey, peerKey, agreed],
    ...points.map(encodePoint),
  );
  return numberOf(new Uint8Array(createHash('sha512').update(bytes).digest())) % GROUP_ORDER;
}

/** The scalar behind a raw X25519 private key (RFC 7748 section 5). */
function clamped(privateKey: Uint8Array): bigint {
  const bytes = Uint8Array.from(privateKey);
  bytes[0]! &= 0xf8;
  bytes[31] = (bytes[31]! & 0x7f) | 0x40;
  return numberOf(bytes);
}
