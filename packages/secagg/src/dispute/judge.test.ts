import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import {
  withBrokenBoxes,
  withForeignSecrets,
  withOtherShares,
} from '../../../../tests/support/hostileShares.ts';
import { TestSession, codeOf, signerOf, termsFor } from '../../../../tests/support/secagg.ts';
import { accept } from '../coordinator/accept.ts';
import { evidenceOf } from '../coordinator/evidence.ts';
import { deliverables } from '../coordinator/phase.ts';
import { complain } from '../silo/complain.ts';
import { mask } from '../silo/mask.ts';
import type { SharedSilo } from '../silo/state.ts';
import { deserializeCoordinator, serializeCoordinator } from '../coordinator/stored.ts';
import {
  advertBytes,
  complaintBytes,
  type Complaint,
  type ShareDelivery,
  type SharesMessage,
} from '../wire/messages.ts';
import { bytesOf } from './edwards.ts';
import { proveAgreement } from './agreementProof.ts';
import { deserializeEvidence, judge, serializeEvidence, type Evidence } from './judge.ts';
import { x25519Agreement } from '../crypto/keys.ts';

const terms = termsFor(5);
const vectors = terms.roster.map(() => new Uint32Array(10).fill(1));
const rng = seededRng('judge');
/** Silo 2 is the one that lies, silo 1 the one that finds out. */
const LIAR = 2;

function sharedBy(session: TestSession, silo: number): SharedSilo {
  const state = session.state(silo);
  if (state.phase !== 'shared') throw new Error('not shared');
  return state;
}

/** A session at R2 in which silo 2 sent `lie` in the place of its shares. */
function atMask(lie?: (state: SharedSilo) => SharesMessage): TestSession {
  const lies = new Map(lie ? [[LIAR, lie]] : []);
  return new TestSession({ terms, vectors, lies }).runThrough('share');
}

function deliveryTo(session: TestSession, silo: number): ShareDelivery {
  const next = deliverables(session.coordinator, silo);
  if (next.step !== 'mask') throw new Error('no delivery');
  return next.delivery;
}

const complaintOf = (session: TestSession, silo: number) =>
  complain(sharedBy(session, silo), deliveryTo(session, silo), signerOf(silo), rng);

const lies: [string, (state: SharedSilo) => SharesMessage][] = [
  ['does not open', (state) => withBrokenBoxes(state, [1], signerOf(LIAR))],
  [
    'opens to other shares than it signed for',
    (state) => withOtherShares(state, [1], signerOf(LIAR)),
  ],
];

describe.each(lies)('a box that %s', (_title, lie) => {
  const session = atMask(lie);
  const complaint = complaintOf(session, 1)!;

  test('is not masked over', () => {
    const act = () => mask(session.state(1), deliveryTo(session, 1), vectors[0]!, signerOf(1));
    expect(codeOf(act)).toBe('SECAGG_BOX_INVALID');
    expect(act).toThrow('silo 2');
  });

  test('is complained about, and the complaint ends the session before anything is learned', () => {
    expect(complaint.about).toBe(LIAR);
    const state = accept(terms, session.coordinator, { kind: 'complaint', message: complaint });
    expect(state).toMatchObject({ phase: 'aborted', abort: { code: 'SECAGG_BOX_INVALID' } });
    expect(accept(terms, state, { kind: 'complaint', message: complaint })).toBe(state);
    expect(deserializeCoordinator(serializeCoordinator(state), terms)).toEqual(state);
  });

  test('convicts its sender before anybody who has the evidence', () => {
    const evidence = evidenceOf(session.coordinator, complaint);
    const { sid } = session.coordinator;
    expect(codeOf(() => judge({ terms, sid }, evidence))).toBeUndefined();
  });

  test('gives away nothing of the silos that are not part of the dispute', () => {
    const bytes = Buffer.concat([complaint.agreed, complaint.proof]);
    const { channelPrivate, maskPrivate, seed } = sharedBy(session, 1);
    for (const secret of [channelPrivate, maskPrivate, seed]) {
      expect(bytes.includes(Buffer.from(secret))).toBe(false);
    }
    // The silos that were sent sound boxes have nothing to complain about.
    expect([3, 4, 5].map((silo) => complaintOf(session, silo))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a complaint about an honest silo', () => {
  const session = atMask();
  const { sid, adverts } = session.coordinator;
  const state = sharedBy(session, 1);
  const keyOf = (silo: number) => adverts[silo - 1]!.channelKey;
  const agreement = {
    ...{ sid, prover: 1, peer: LIAR, proverKey: keyOf(1), peerKey: keyOf(LIAR) },
    agreed: x25519Agreement(state.channelPrivate)(keyOf(LIAR)),
  };
  const signed = (change: Partial<Complaint> = {}): Complaint => {
    const unsigned = {
      ...{ silo: 1, about: LIAR, agreed: agreement.agreed },
      proof: proveAgreement(state.channelPrivate, agreement, rng)!,
      ...change,
    };
    const { silo } = unsigned;
    return { ...unsigned, signature: signerOf(silo).sign(complaintBytes(sid, unsigned)) };
  };
  const refusal = (message: Complaint) =>
    codeOf(() => accept(terms, session.coordinator, { kind: 'complaint', message }));

  test('is not made by an honest one', () => {
    expect(complaintOf(session, 1)).toBeUndefined();
  });

  test('is false with the true key, under which the box opens', () => {
    expect(refusal(signed())).toBe('SECAGG_COMPLAINT_FALSE');
  });

  test('is false with a key of the liar’s making, under which it does not', () => {
    const agreed = rng.bytes(32);
    const proof = proveAgreement(state.channelPrivate, { ...agreement, agreed }, rng)!;
    expect(refusal(signed({ agreed, proof }))).toBe('SECAGG_COMPLAINT_FALSE');
    expect(refusal(signed({ proof: new Uint8Array(128) }))).toBe('SECAGG_COMPLAINT_FALSE');
  });

  test('cannot be made in the name of another silo', () => {
    const { signature } = signed();
    expect(refusal({ ...signed(), silo: 3, signature })).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('cannot be about itself or about a stranger', () => {
    expect(refusal(signed({ about: 1 }))).toBe('SECAGG_SILO_ABSENT');
    expect(refusal(signed({ about: 9 }))).toBe('SECAGG_SILO_ABSENT');
  });

  test('comes too late after the own vector and outside R2', () => {
    const masked = atMask((liar) => withBrokenBoxes(liar, [1], signerOf(LIAR)));
    const message = complaintOf(masked, 1)!;
    const header = new TestSession({ terms, vectors }).runThrough('share');
    header.deliver('mask');
    const state2 = { ...masked.coordinator, headers: [header.coordinator.headers[0]!] };
    const event = { kind: 'complaint', message } as const;
    expect(codeOf(() => accept(terms, state2, event))).toBe('SECAGG_CONFLICT');
    const early = { ...masked.coordinator, phase: 'share' } as const;
    expect(codeOf(() => accept(terms, early, event))).toBe('SECAGG_OUT_OF_ORDER');
    const late = { ...masked.coordinator, phase: 'confirm' } as const;
    expect(codeOf(() => accept(terms, late, event))).toBe('SECAGG_LATE');
  });
});

describe('evidence', () => {
  const session = atMask((state) => withBrokenBoxes(state, [1], signerOf(LIAR)));
  const { sid } = session.coordinator;
  const evidence = evidenceOf(session.coordinator, complaintOf(session, 1)!);
  const verdict = (change: Partial<Evidence>) =>
    codeOf(() => judge({ terms, sid }, { ...evidence, ...change }));

  test('with anything in it exchanged convicts nobody', () => {
    const { adverts, shares } = session.coordinator;
    const other = atMask().coordinator;
    const honest = evidenceOf(other, evidence.complaint);
    expect(verdict({ accused: adverts[2]! })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(verdict({ accuser: adverts[3]! })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(verdict({ box: honest.box })).toBe('SECAGG_COMPLAINT_FALSE');
    expect(verdict({ box: { ...evidence.box, box: honest.box.box } })).toBe(
      'SECAGG_SIGNATURE_INVALID',
    );
    expect(verdict({ at: 1 })).toBe('SECAGG_SIGNATURE_INVALID');
    expect(verdict({ count: 5 })).toBe('SECAGG_SIGNATURE_INVALID');
    expect(verdict({ at: -1 })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(shares).toHaveLength(5);
  });

  test('convicts a silo that advertised a key on the twist, which nobody can agree with', () => {
    const advert = { ...evidence.accused, channelKey: bytesOf(2n) };
    expect(verdict({ accused: advert })).toBe('SECAGG_SIGNATURE_INVALID');
    const signature = signerOf(LIAR).sign(advertBytes(sid, advert));
    expect(verdict({ accused: { ...advert, signature } })).toBeUndefined();
  });

  test('comes back from its bytes, and nothing else does', () => {
    const bytes = serializeEvidence(evidence);
    expect(deserializeEvidence(bytes)).toEqual(evidence);
    for (const broken of [new Uint8Array(), bytes.slice(1), new Uint8Array([0x7b, 0x7d])]) {
      expect(codeOf(() => deserializeEvidence(broken))).toBe('SECAGG_MESSAGE_MALFORMED');
    }
  });

  test('shares that are sound one by one are nobody’s complaint, and are found at the end', () => {
    const later = atMask((state) => withForeignSecrets(state, signerOf(LIAR)));
    expect([1, 3, 4, 5].map((silo) => complaintOf(later, silo))).toEqual(new Array(4));
  });
});
