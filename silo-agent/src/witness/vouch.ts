import { formatVerifierKey, verifierKeyOf, type WitnessKey } from '@medley/merkle';
import { signWitness, type Identity } from '@medley/pki';
import type { RoundMessages } from '../round/messages.ts';
import type { SiteIdentity } from '../study/offer.ts';
import type { WitnessHead } from './record.ts';

/** Hands in cosignatures under this hospital's witness key, which its identity key signed for. */
export function vouching(
  { consortium, silo }: SiteIdentity,
  identity: Identity,
  key: WitnessKey,
  messages: Pick<RoundMessages, 'cosign'>,
): (head: WitnessHead, signal: AbortSignal) => Promise<void> {
  const witnessKey = formatVerifierKey(verifierKeyOf('witness', key));
  const signature = signWitness(identity, { consortium, silo, verifierKey: witnessKey });
  return ({ size, cosignature }, signal) =>
    messages.cosign({ size, cosignature, witnessKey, signature }, signal);
}
