import { describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { TestSession, codeOf, signerOf, termsFor } from '../../../../tests/support/secagg.ts';
import { x25519Public } from '../crypto/keys.ts';
import { deliverables } from '../coordinator/phase.ts';
import type { SessionTerms } from '../session.ts';
import { setHash } from '../wire/frame.ts';
import {
  advertBytes,
  confirmationBytes,
  type Advert,
  type Confirmation,
  type ShareDelivery,
} from '../wire/messages.ts';
import { mask } from './mask.ts';
import { confirm, release } from './release.ts';
import { advertise, share } from './share.ts';
import { checkRetry, type SiloState } from './state.ts';
import { deserializeSilo, serializeSilo } from './stored.ts';

const terms = termsFor(5);
const vectors = terms.roster.map((_, i) => new Uint32Array(10).fill(i + 1));
const rng = seededRng('silo test');
const me = signerOf(1);

/** Silo 1's state before `step`, with the session around it. */
function before(step: 'share' | 'mask' | 'confirm' | 'release', stepsTaken?: readonly number[]) {
  const last = { share: 'advertise', mask: 'share', confirm: 'mask', release: 'confirm' } as const;
  const session = new TestSession({
    terms,
    vectors,
    ...(stepsTaken === undefined ? {} : { stepsTaken }),
  }).runThrough(last[step]);
  return { session, state: session.state(1), coordinator: session.coordinator };
}

function advertBy(silo: number, change: Partial<Advert> = {}, of: SessionTerms = terms): Advert {
  const { message, state } = advertise(of, silo, signerOf(silo), seededRng(`advert ${silo}`));
  const altered = { ...message, ...change };
  return { ...altered, signature: signerOf(silo).sign(advertBytes(state.sid, altered)) };
}

describe('advertise', () => {
  test('makes new keys on every call', () => {
    const [a, b] = [advertise(terms, 1, me, rng), advertise(terms, 1, me, rng)];
    expect(a.message.maskKey).not.toEqual(b.message.maskKey);
    expect(a.message.channelKey).not.toEqual(b.message.channelKey);
  });

  test('refuses unsafe terms and a silo that is not on the roster', () => {
    const weak = { ...terms, threshold: 2 };
    expect(codeOf(() => advertise(weak, 1, me, rng))).toBe('SECAGG_TERMS_THRESHOLD');
    expect(codeOf(() => advertise(terms, 6, me, rng))).toBe('SECAGG_SILO_UNKNOWN');
  });
});

describe('share', () => {
  const { state, coordinator } = before('share');
  const { adverts } = coordinator;
  const shareOf = (list: readonly Advert[]) => codeOf(() => share(state, list, me, rng));
  const replaced = (advert: Advert) =>
    adverts.map((candidate) => (candidate.silo === advert.silo ? advert : candidate));

  test('seals one box for every other advertiser', () => {
    const { message } = share(state, adverts, me, rng);
    expect(message.boxes.map(({ to }) => to)).toEqual([2, 3, 4, 5]);
  });

  test('gives the same message for the same adverts, in any order', () => {
    const first = share(state, adverts, me, rng);
    const again = share(first.state, adverts.toReversed(), me, rng);
    expect(again.message).toBe(first.message);
  });

  test('refuses a second, different list of adverts', () => {
    const first = share(state, adverts, me, rng);
    const act = () => share(first.state, adverts.slice(0, 4), me, rng);
    expect(codeOf(act)).toBe('SECAGG_EQUIVOCATION');
  });

  test('refuses an advert whose key was swapped on the way and names the silo', () => {
    const swapped = { ...adverts[2]!, maskKey: x25519Public(rng.bytes(32)) };
    const act = () => share(state, replaced(swapped), me, rng);
    expect(codeOf(act)).toBe('SECAGG_SIGNATURE_INVALID');
    expect(act).toThrow('silo 3');
  });

  test("refuses another silo's advert under a false index", () => {
    expect(shareOf(replaced({ ...adverts[2]!, silo: 4 }))).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('refuses an advert replayed from an earlier attempt', () => {
    const old = advertBy(2, {}, { ...terms, attempt: 2 });
    expect(shareOf(replaced(old))).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('refuses its own key reflected as that of another silo', () => {
    const reflected = advertBy(2, { maskKey: adverts[0]!.maskKey });
    expect(shareOf(replaced(reflected))).toBe('SECAGG_KEY_REUSED');
  });

  test('refuses one key for both purposes', () => {
    const { maskKey } = adverts[1]!;
    expect(shareOf(replaced(advertBy(2, { maskKey, channelKey: maskKey })))).toBe(
      'SECAGG_KEY_REUSED',
    );
  });

  test('refuses a signed key of small order', () => {
    for (const key of ['channelKey', 'maskKey'] as const) {
      const weak = advertBy(2, { [key]: new Uint8Array(32) });
      expect(shareOf(replaced(weak))).toBe('SECAGG_KEY_WEAK');
    }
  });

  test('refuses a list without its own advert, or with another one of its own', () => {
    expect(shareOf(adverts.slice(1))).toBe('SECAGG_KEY_MISSING');
    expect(shareOf(replaced(advertBy(1)))).toBe('SECAGG_KEY_MISSING');
  });

  test('refuses fewer adverts than the quorum', () => {
    expect(shareOf(adverts.slice(0, 3))).toBe('SECAGG_TOO_FEW');
  });

  test('refuses a silo that stands twice or is not on the roster', () => {
    expect(shareOf([...adverts, adverts[4]!])).toBe('SECAGG_DUPLICATE');
    expect(shareOf([...adverts, { ...adverts[4]!, silo: 6 }])).toBe('SECAGG_SILO_UNKNOWN');
  });
});

describe('mask', () => {
  const { state, coordinator } = before('mask');
  const deliverable = deliverables(coordinator, 1);
  if (deliverable.step !== 'mask') throw new Error('no delivery');
  const { delivery } = deliverable;
  const vector = vectors[0]!;
  const maskOf = (change: Partial<ShareDelivery>) =>
    codeOf(() => mask(state, { ...delivery, ...change }, vector, me));

  test('gives the same bytes for the same vector', () => {
    const first = mask(state, delivery, vector, me);
    const again = mask(first.state, delivery, vector, me);
    expect(again.masked).toEqual(first.masked);
    expect(again.message).toBe(first.message);
  });

  test('refuses a second, different vector under the same masks', () => {
    const first = mask(state, delivery, vector, me);
    const other = vector.with(0, 99);
    expect(codeOf(() => mask(first.state, delivery, other, me))).toBe('SECAGG_VECTOR_REUSED');
  });

  test('refuses a second, different set of sharers', () => {
    const first = mask(state, delivery, vector, me);
    const fewer = { sharers: [1, 2, 3, 4], boxes: delivery.boxes.slice(0, 3) };
    expect(codeOf(() => mask(first.state, fewer, vector, me))).toBe('SECAGG_EQUIVOCATION');
  });

  test('refuses a vector of another length', () => {
    expect(codeOf(() => mask(state, delivery, new Uint32Array(9), me))).toBe('SECAGG_LENGTH');
  });

  test('refuses a box that was altered on the way or swapped with another', () => {
    const altered = delivery.boxes.map((one) => ({ ...one, box: one.box.slice() }));
    altered[1]!.box[40]! ^= 1;
    expect(maskOf({ boxes: altered })).toBe('SECAGG_SIGNATURE_INVALID');
    expect(() => mask(state, { ...delivery, boxes: altered }, vector, me)).toThrow('silo 3');
    const [a, b, ...rest] = delivery.boxes;
    const swapped = [{ ...b!, from: 2 }, { ...a!, from: 3 }, ...rest];
    expect(maskOf({ boxes: swapped })).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test.each(['seedHash', 'keyHash', 'seedCommitment', 'ownSeedHash', 'root'] as const)(
    'refuses a box whose %s its sender did not sign',
    (name) => {
      const [first, ...rest] = delivery.boxes;
      const boxes = [{ ...first!, [name]: new Uint8Array(32) }, ...rest];
      expect(maskOf({ boxes })).toBe('SECAGG_SIGNATURE_INVALID');
    },
  );

  test('refuses a box of another session', () => {
    const other = new TestSession({ terms: { ...terms, attempt: 2 }, vectors }).runThrough('share');
    const old = deliverables(other.coordinator, 1);
    if (old.step !== 'mask') throw new Error('no delivery');
    expect(maskOf({ boxes: old.delivery.boxes })).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('refuses sharers without itself, without a box each, or with a box too many', () => {
    expect(maskOf({ sharers: [2, 3, 4, 5] })).toBe('SECAGG_SHARERS_INVALID');
    expect(maskOf({ boxes: delivery.boxes.slice(1) })).toBe('SECAGG_SHARERS_INVALID');
    expect(maskOf({ sharers: [1, 2, 3, 4] })).toBe('SECAGG_SHARERS_INVALID');
  });

  test('refuses a sharer that did not advertise', () => {
    const absent = before('mask', [5, 5, 5, 5, 0]);
    const next = deliverables(absent.coordinator, 1);
    if (next.step !== 'mask') throw new Error('no delivery');
    const { boxes } = next.delivery;
    const more = { sharers: [1, 2, 3, 4, 5], boxes: [...boxes, { ...boxes[0]!, from: 5 }] };
    expect(codeOf(() => mask(absent.state, more, vector, me))).toBe('SECAGG_SHARERS_INVALID');
  });

  test('refuses fewer sharers than the quorum, and duplicates', () => {
    expect(maskOf({ sharers: [1, 2, 3], boxes: delivery.boxes.slice(0, 2) })).toBe(
      'SECAGG_TOO_FEW',
    );
    expect(maskOf({ sharers: [1, 1, 2, 3, 4, 5] })).toBe('SECAGG_MESSAGE_MALFORMED');
  });

  test('forgets the channel key', () => {
    expect(mask(state, delivery, vector, me).state).not.toHaveProperty('channelPrivate');
  });
});

describe('confirm', () => {
  const { state } = before('confirm', [5, 5, 5, 5, 2]);
  const confirmOf = (survivors: readonly number[]) => codeOf(() => confirm(state, survivors, me));

  test('signs the same survivors again with the same message', () => {
    const first = confirm(state, [1, 2, 3, 4], me);
    expect(confirm(first.state, [1, 2, 3, 4], me).message).toBe(first.message);
  });

  test('refuses a second survivor set in one session', () => {
    const { state: all } = before('confirm');
    const first = confirm(all, [1, 2, 3, 4], me);
    expect(codeOf(() => confirm(first.state, [1, 2, 3, 4, 5], me))).toBe('SECAGG_EQUIVOCATION');
  });

  test.each([
    ['without itself', [2, 3, 4, 5]],
    ['with a stranger to the sharers', [1, 2, 3, 4, 6]],
    ['with a silo twice', [1, 2, 2, 3, 4]],
    ['out of order', [2, 1, 3, 4]],
  ])('refuses survivors %s', (_title, survivors) => {
    expect(confirmOf(survivors)).toBe('SECAGG_SURVIVORS_INVALID');
  });

  test('refuses fewer survivors than the quorum', () => {
    expect(confirmOf([1, 2, 3])).toBe('SECAGG_TOO_FEW');
  });

  test('keeps only what these survivors entitle to, never both shares of one silo', () => {
    const { state: next } = confirm(state, [1, 2, 3, 4], me);
    expect(next.seedShares.map(({ of }) => of)).toEqual([1, 2, 3, 4]);
    expect(next.keyShares.map(({ of }) => of)).toEqual([5]);
    for (const secret of ['maskPrivate', 'seed']) expect(next).not.toHaveProperty(secret);
  });
});

describe('release', () => {
  const { state, coordinator } = before('release', [5, 5, 5, 5, 2]);
  const { confirmations } = coordinator;
  const releaseOf = (list: readonly Confirmation[]) => codeOf(() => release(state, list, me));
  const confirmationBy = (silo: number, survivors: number[], sharers = [1, 2, 3, 4, 5]) => {
    const { sid } = state;
    const unsigned = {
      silo,
      survivorsHash: setHash(sid, survivors),
      sharersHash: setHash(sid, sharers),
    };
    return { ...unsigned, signature: signerOf(silo).sign(confirmationBytes(sid, unsigned)) };
  };

  test('hands out one share of each silo and forgets its secrets', () => {
    const { state: next, message } = release(state, confirmations, me);
    expect(message.seedShares.map(({ of }) => of)).toEqual([1, 2, 3, 4]);
    expect(message.keyShares.map(({ of }) => of)).toEqual([5]);
    for (const secret of ['seedShares', 'keyShares', 'seed', 'maskPrivate', 'channelPrivate']) {
      expect(next).not.toHaveProperty(secret);
    }
  });

  test('cannot be made to give the other share of a silo afterwards', () => {
    const first = release(state, confirmations, me);
    const others = [1, 2, 3, 5].map((silo) => confirmationBy(silo, [1, 2, 3, 5]));
    expect(release(first.state, others, me).message).toBe(first.message);
    expect(codeOf(() => confirm(first.state, [1, 2, 3, 5], me))).toBe('SECAGG_OUT_OF_ORDER');
  });

  test('refuses when the survivors were shown different survivor sets', () => {
    const split = [...confirmations.slice(0, 3), confirmationBy(4, [1, 2, 4, 5])];
    expect(releaseOf(split)).toBe('SECAGG_EQUIVOCATION');
  });

  test('refuses when the survivors were shown different sharers', () => {
    const split = [...confirmations.slice(0, 3), confirmationBy(4, [1, 2, 3, 4], [1, 2, 3, 4])];
    expect(releaseOf(split)).toBe('SECAGG_EQUIVOCATION');
  });

  test('refuses fewer than t confirmations, and does not count one twice', () => {
    expect(releaseOf(confirmations.slice(0, 3))).toBe('SECAGG_TOO_FEW');
    expect(releaseOf([...confirmations.slice(0, 3), confirmations[0]!])).toBe('SECAGG_DUPLICATE');
  });

  test('refuses a confirmation from outside the survivors or without a valid signature', () => {
    expect(releaseOf([...confirmations, confirmationBy(5, [1, 2, 3, 4])])).toBe(
      'SECAGG_SILO_ABSENT',
    );
    const forged = { ...confirmations[1]!, silo: 3 };
    const list = [confirmations[0]!, confirmations[1]!, forged, confirmations[3]!];
    expect(releaseOf(list)).toBe('SECAGG_SIGNATURE_INVALID');
  });
});

describe('the order of the steps', () => {
  const states: readonly SiloState[] = (['share', 'mask', 'confirm', 'release'] as const).map(
    (step) => before(step).state,
  );
  const session = new TestSession({ terms, vectors }).runThrough('release');
  const phases = [...states, session.state(1)];

  test('every step is refused in every phase but its own and the one that it leads to', () => {
    const { adverts, confirmations } = session.coordinator;
    const delivery = { sharers: [1, 2, 3], boxes: [] };
    const steps: [string, (state: SiloState) => unknown][] = [
      ['advertised', (state) => share(state, adverts, me, rng)],
      ['shared', (state) => mask(state, delivery, vectors[0]!, me)],
      ['masked', (state) => confirm(state, [1, 2, 3, 4, 5], me)],
      ['confirmed', (state) => release(state, confirmations, me)],
    ];
    const names = ['advertised', 'shared', 'masked', 'confirmed', 'released'];
    for (const [home, step] of steps) {
      for (const state of phases) {
        const near = names.indexOf(state.phase) - names.indexOf(home);
        if (near === 0 || near === 1) continue;
        expect([home, state.phase, codeOf(() => step(state))]).toEqual([
          home,
          state.phase,
          'SECAGG_OUT_OF_ORDER',
        ]);
      }
    }
  });

  test('a silo that released refuses every other attempt of the round', () => {
    const next = { ...terms, attempt: 2 };
    expect(codeOf(() => checkRetry(phases, next))).toBe('SECAGG_ROUND_RELEASED');
    expect(codeOf(() => checkRetry(states, next))).toBeUndefined();
    expect(codeOf(() => checkRetry(phases, { ...terms, round: 4 }))).toBeUndefined();
  });
});

describe('a stored state', () => {
  const { state } = before('mask');
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

  test('is refused under other terms', () => {
    const act = () => deserializeSilo(serializeSilo(state), { ...terms, attempt: 2 });
    expect(codeOf(act)).toBe('SECAGG_SESSION_MISMATCH');
  });

  test('is refused when it was cut, altered or never one', () => {
    const whole = text(serializeSilo(state));
    const broken = [
      whole.slice(0, -10),
      whole.replace('"shared"', '"sharing"'),
      whole.replace('"seed":', '"sead":'),
      whole.replace('v1/silo', 'v2/silo'),
      'null',
      '[]',
      '',
    ];
    for (const bytes of [
      ...broken.map((s) => new TextEncoder().encode(s)),
      new Uint8Array([0xff]),
    ]) {
      expect(codeOf(() => deserializeSilo(bytes, terms))).toBe('SECAGG_STATE_INVALID');
    }
  });
});
