import { MedleyError, type Rng } from '@medley/kit';
import { x25519Agreement, type IdentitySigner } from '../crypto/keys.ts';
import { PROOF_BYTES, proveAgreement } from '../dispute/agreementProof.ts';
import { complaintBytes, type Complaint, type ShareDelivery } from '../wire/messages.ts';
import { signed } from '../wire/signing.ts';
import { inspectDelivery } from './mask.ts';
import type { SharedSilo } from './state.ts';

/**
 * In the place of R2: the complaint about the first box that does not hold what its sender signed for;
 * undefined when all do. It gives away the key that the two silos agreed on, and with it the box in each
 * direction. So the caller drops the state before it sends the complaint: this silo masks no vector in
 * this session, and its own secrets protect nothing in it. What it holds of *other* silos stays hidden.
 *
 * Throws what `inspectDelivery` throws where the aggregator changed something: then nothing is given
 * away.
 */
export function complain(
  state: SharedSilo,
  delivery: ShareDelivery,
  signer: IdentitySigner,
  rng: Rng,
): Complaint | undefined {
  const { faulty } = inspectDelivery(state, delivery);
  if (faulty === undefined) return undefined;
  const { sid, me, adverts, channelPrivate } = state;
  const keyOf = (silo: number): Uint8Array => {
    const advert = adverts.find((one) => one.silo === silo);
    if (advert === undefined) throw new MedleyError('INTERNAL', `no advert of silo ${silo}`);
    return advert.channelKey;
  };
  const agreed = x25519Agreement(channelPrivate)(keyOf(faulty));
  const agreement = {
    ...{ sid, prover: me, peer: faulty, agreed },
    ...{ proverKey: keyOf(me), peerKey: keyOf(faulty) },
  };
  const proof = proveAgreement(channelPrivate, agreement, rng) ?? new Uint8Array(PROOF_BYTES);
  const unsigned = { silo: me, about: faulty, agreed, proof };
  return signed<Complaint>(unsigned, complaintBytes(sid, unsigned), signer);
}
