import { signStatement, verifyStatement } from './statement.ts';
import type { Identity } from './identity.ts';

/** What a silo says of the key with which it witnesses the consortium's log. */
export interface WitnessClaim {
  readonly consortium: string;
  readonly silo: string;
  /** C2SP verifier key of type 0x04. */
  readonly verifierKey: string;
}

/** Domain of these statements among the things that an identity signs. */
const DOMAIN = 'witness-key';

/** The identity's signature, 64 bytes, under its witness key. */
export function signWitness(identity: Identity, claim: WitnessClaim): Uint8Array {
  return signStatement(identity, DOMAIN, documentOf(claim)).signature;
}

/** Whether the identity key says that the witness key is its silo's. False for malformed input. */
export function verifyWitness(
  identityKey: Uint8Array,
  claim: WitnessClaim,
  signature: Uint8Array,
): boolean {
  return verifyStatement(identityKey, DOMAIN, documentOf(claim), signature);
}

function documentOf({ consortium, silo, verifierKey }: WitnessClaim): Record<string, string> {
  return { medley: 'witnessKey/v1', consortium, silo, verifierKey };
}
