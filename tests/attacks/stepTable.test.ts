import { describe, expect, test } from '@jest/globals';
import { equalBytes, seededRng, sha256 } from '@medley/kit';
import {
  accept,
  advertise,
  checkRetry,
  combine,
  confirm,
  deliverables,
  isPhaseFull,
  lagrangeAtZero,
  mask,
  planUnmask,
  release,
  removeMasks,
  serializeSilo,
  sessionId,
  setHash,
  share,
  sharersOf,
  survivorsOf,
  verifyIdentity,
  vectorBytes,
  type ConfirmedSilo,
  type MaskedSilo,
  type ReleasedSilo,
  type SharedSilo,
  type SiloState,
} from '@medley/secagg';
import { openBox } from '../../packages/secagg/src/crypto/boxes.ts';
import { x25519Agreement, x25519Public } from '../../packages/secagg/src/crypto/keys.ts';
import { signedShares } from '../../packages/secagg/src/wire/boxTree.ts';
import { seedCommitment } from '../../packages/secagg/src/wire/frame.ts';
import {
  advertBytes,
  confirmationBytes,
  maskedBytes,
  releaseBytes,
} from '../../packages/secagg/src/wire/messages.ts';
import { TestSession, codeOf, signerOf, termsFor, type Step } from '../support/secagg.ts';

// The rows of the protocol's table, one by one: what silo u sends in a step, and what it checks first.

const terms = termsFor(5);
const sid = sessionId(terms);
const vectors = terms.roster.map((_, i) => new Uint32Array(10).fill(i + 1));
const rng = seededRng('steps');
const me = signerOf(1);
const keyOf = (silo: number) => terms.roster[silo - 1]!.identityKey;
const at = (last: Step, stepsTaken?: readonly number[]) =>
  new TestSession({ terms, vectors, ...(stepsTaken && { stepsTaken }) }).runThrough(last);

/** Silo 1's state, known to be in a phase. */
function stateAt<State extends SiloState>(session: TestSession, phase: State['phase']): State {
  const state = session.state(1);
  if (state.phase !== phase) throw new Error(`in phase ${state.phase}`);
  return state as State;
}

function deliveryTo(session: TestSession, silo = 1) {
  const next = deliverables(session.coordinator, silo);
  if (next.step !== 'mask') throw new Error('no boxes');
  return next.delivery;
}

describe('R0 advertise', () => {
  const { message, state } = advertise(terms, 1, me, rng);

  test('sends fresh X25519 keys c_u and s_u under its signature over "advertise", sid, c_u, s_u', () => {
    expect(message.channelKey).toEqual(x25519Public(state.channelPrivate));
    expect(message.maskKey).toEqual(x25519Public(state.maskPrivate));
    expect(verifyIdentity(keyOf(1), advertBytes(sid, message), message.signature)).toBe(true);
    const again = advertise(terms, 1, me, rng).message;
    expect(again.channelKey).not.toEqual(message.channelKey);
    expect(again.maskKey).not.toEqual(message.maskKey);
  });

  test('first checks that the sid it computes itself binds the model, the plan and every term', () => {
    const changes = [
      { modelHash: 'ab'.repeat(32) },
      { planHash: 'ab'.repeat(32) },
      { round: 4 },
      { attempt: 2 },
      { minSurvivors: 5 },
      { clipNormL2: 3 },
      { weightCap: 4999 },
      { charterHash: 'cd'.repeat(32) },
    ];
    for (const change of changes) expect(sessionId({ ...terms, ...change })).not.toEqual(sid);
  });
});

describe('R1 share', () => {
  const session = at('advertise');
  const { adverts } = session.coordinator;
  const { message, state } = share(session.state(1), adverts, me, rng);

  test('sends t-of-n shares of b_u and of s_u, each pair in one box, with the commitment to b_u, signed', () => {
    const shares = message.boxes.map(({ to, box }) => {
      const other = at('advertise').state(to);
      if (other.phase !== 'advertised') throw new Error('not in R0');
      const agreed = x25519Agreement(other.channelPrivate)(adverts[0]!.channelKey);
      return { to, ...openBox(agreed, { sid, from: 1, to }, box) };
    });
    const some = shares.slice(0, terms.threshold);
    const coefficients = lagrangeAtZero(some.map(({ to }) => to));
    const seed = combine(
      coefficients,
      some.map(({ seedShare }) => seedShare),
    );
    expect(seed).toEqual(state.seed);
    expect(message.seedCommitment).toEqual(seedCommitment(sid, 1, seed));
    const maskKey = x25519Public(
      combine(
        coefficients,
        some.map(({ keyShare }) => keyShare),
      ),
    );
    expect(maskKey).toEqual(adverts[0]!.maskKey);
    expect(verifyIdentity(keyOf(1), signedShares(sid, message), message.signature)).toBe(true);
  });

  test.each([
    [
      'every key signed by a pinned identity',
      'SECAGG_SIGNATURE_INVALID',
      () => [{ ...adverts[1]!, signature: new Uint8Array(64) }, ...adverts.slice(2)],
    ],
    ['own key present', 'SECAGG_KEY_MISSING', () => adverts.slice(1)],
    ['at least t adverts', 'SECAGG_TOO_FEW', () => adverts.slice(0, 3)],
  ])('first checks: %s (%s)', (_what, code, list) => {
    const own = code === 'SECAGG_SIGNATURE_INVALID' ? [adverts[0]!] : [];
    expect(codeOf(() => share(session.state(1), [...own, ...list()], me, rng))).toBe(code);
  });

  test.each([
    ['all keys distinct', 'SECAGG_KEY_REUSED', { maskKey: adverts[0]!.maskKey }],
    ['no X25519 output of zeros', 'SECAGG_KEY_WEAK', { maskKey: new Uint8Array(32) }],
  ])('first checks: %s (%s)', (_what, code, change) => {
    const bent = { ...adverts[1]!, ...change };
    const signature = signerOf(2).sign(advertBytes(sid, bent));
    const list = [adverts[0]!, { ...bent, signature }, ...adverts.slice(2)];
    expect(codeOf(() => share(session.state(1), list, me, rng))).toBe(code);
  });
});

describe('R2 masked input', () => {
  const session = at('share');
  const made = mask(session.state(1), deliveryTo(session), vectors[0]!, me);

  test('sends y_u = q(x_u) + PRG(b_u) ± Σ PRG(k_uv), with a signature over sid, SHA-256(y_u), SHA-256(U1)', () => {
    const { message, masked, wire } = made;
    expect(equalBytes(message.vectorHash, sha256(vectorBytes(masked)))).toBe(true);
    expect(equalBytes(message.vectorHash, sha256(wire))).toBe(true);
    expect(message.sharersHash).toEqual(setHash(sid, [1, 2, 3, 4, 5]));
    expect(verifyIdentity(keyOf(1), maskedBytes(sid, message), message.signature)).toBe(true);
    expect(masked).not.toEqual(vectors[0]);
    // All masks, and nothing else, go out again.
    const whole = at('release');
    const sum = whole.maskedSum();
    removeMasks(sum, planUnmask(terms, whole.coordinator));
    expect(sum).toEqual(new Uint32Array(10).fill(15));
  });

  test('first checks that ciphertexts authenticate', () => {
    const delivery = deliveryTo(session);
    const box = delivery.boxes[0]!.box.slice();
    box[50]! ^= 1;
    const boxes = [{ ...delivery.boxes[0]!, box }, ...delivery.boxes.slice(1)];
    const act = () => mask(session.state(1), { ...delivery, boxes }, vectors[0]!, me);
    expect(codeOf(act)).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('first checks that there are at least t sharers (U1)', () => {
    const { boxes } = deliveryTo(session);
    const few = { sharers: [1, 2, 3], boxes: boxes.slice(0, 2) };
    expect(codeOf(() => mask(session.state(1), few, vectors[0]!, me))).toBe('SECAGG_TOO_FEW');
  });
});

describe('R3 consistency', () => {
  const session = at('mask', [5, 5, 5, 5, 2]);
  const state = stateAt<MaskedSilo>(session, 'masked');

  test('sends its signature over "survivors", sid, SHA-256(sorted U2), SHA-256(U1)', () => {
    const { message } = confirm(state, [1, 2, 3, 4], me);
    expect(message.survivorsHash).toEqual(setHash(sid, [1, 2, 3, 4]));
    expect(message.sharersHash).toEqual(setHash(sid, [1, 2, 3, 4, 5]));
    expect(verifyIdentity(keyOf(1), confirmationBytes(sid, message), message.signature)).toBe(true);
  });

  test.each([
    ['u ∈ U2', [2, 3, 4, 5], 'SECAGG_SURVIVORS_INVALID'],
    ['U2 ⊆ U1', [1, 2, 3, 4, 6], 'SECAGG_SURVIVORS_INVALID'],
    ['at least max(t, minSurvivors) in U2', [1, 2, 3], 'SECAGG_TOO_FEW'],
  ])('first checks: %s', (_what, survivors, code) => {
    expect(codeOf(() => confirm(state, survivors, me))).toBe(code);
  });

  test('signs one U2 per sid', () => {
    const { state: next } = confirm(state, [1, 2, 3, 4], me);
    expect(codeOf(() => confirm(next, [1, 2, 3, 4, 5], me))).toBe('SECAGG_EQUIVOCATION');
  });
});

describe('R4 unmask', () => {
  const session = at('confirm', [5, 5, 5, 5, 2]);
  const state = stateAt<ConfirmedSilo>(session, 'confirmed');
  const { confirmations } = session.coordinator;

  test('sends b_v shares for U2 and s_v shares for U1∖U2, and never both for one v', () => {
    const { message } = release(state, confirmations, me);
    expect(message.seedShares.map(({ of }) => of)).toEqual([1, 2, 3, 4]);
    expect(message.keyShares.map(({ of }) => of)).toEqual([5]);
    expect(verifyIdentity(keyOf(1), releaseBytes(sid, message), message.signature)).toBe(true);
  });

  test('first checks that at least t distinct members of U2 signed the same U2 and U1', () => {
    const few = confirmations.slice(0, 3);
    expect(codeOf(() => release(state, few, me))).toBe('SECAGG_TOO_FEW');
    expect(codeOf(() => release(state, [...few, few[0]!], me))).toBe('SECAGG_DUPLICATE');
    const unsigned = { ...confirmations[3]!, survivorsHash: setHash(sid, [1, 2, 4, 5]) };
    const other = { ...unsigned, signature: signerOf(4).sign(confirmationBytes(sid, unsigned)) };
    expect(codeOf(() => release(state, [...few, other], me))).toBe('SECAGG_EQUIVOCATION');
  });

  test('drops the key material afterwards: the state to be stored first holds none', () => {
    const shared = stateAt<SharedSilo>(at('share'), 'shared');
    const { state: next } = release(state, confirmations, me);
    const stored = Buffer.from(serializeSilo(next)).toString();
    for (const secret of [shared.seed, shared.maskPrivate, shared.channelPrivate]) {
      expect(stored).not.toContain(Buffer.from(secret).toString('base64'));
    }
    expect(next.phase).toBe('released');
  });
});

describe('the drop-out table', () => {
  const opened = (session: TestSession) => {
    const sum = session.maskedSum();
    removeMasks(sum, planUnmask(terms, session.coordinator));
    return sum[0];
  };

  test('lost before R1 completes: not in U1; the round goes on while at least t remain', () => {
    for (const steps of [0, 1]) {
      const session = at('release', [5, 5, steps, 5, 5]);
      expect(sharersOf(session.coordinator)).toEqual([1, 2, 4, 5]);
      expect(opened(session)).toBe(1 + 2 + 4 + 5);
      expect(at('release', [5, 5, steps, steps, 5]).coordinator.phase).toBe('aborted');
    }
  });

  test('lost between R1 and R2: s_v is reconstructed, its pairwise masks go; it contributes nothing', () => {
    const session = at('release', [5, 5, 2, 5, 5]);
    expect(sharersOf(session.coordinator)).toEqual([1, 2, 3, 4, 5]);
    expect(survivorsOf(session.coordinator)).toEqual([1, 2, 4, 5]);
    expect(opened(session)).toBe(1 + 2 + 4 + 5);
  });

  test('R2 message after U2 is fixed: refused as late, and U2 stays', () => {
    const whole = at('share');
    whole.deliver('mask');
    const header = whole.coordinator.headers[4]!;
    const { coordinator } = at('mask', [5, 5, 5, 5, 2]);
    const late = () => accept(terms, coordinator, { kind: 'masked', header });
    expect(codeOf(late)).toBe('SECAGG_LATE');
    expect(survivorsOf(coordinator)).toEqual([1, 2, 3, 4]);
  });

  test.each([
    ['R3', 3],
    ['R4', 4],
  ])('lost at %s after R2: still in the sum; b_v from t others', (_step, steps) => {
    const session = at('release', [5, 5, steps, 5, 5]);
    expect(survivorsOf(session.coordinator)).toEqual([1, 2, 3, 4, 5]);
    expect(opened(session)).toBe(15);
  });

  test.each([
    ['signatures', [5, 5, 5, 3, 3]],
    ['shares', [5, 5, 5, 4, 4]],
  ])(
    'fewer than t %s: abort, nothing learned; the next attempt has a new sid and new keys',
    (_what, steps) => {
      const { coordinator } = at('release', steps);
      expect(coordinator).toMatchObject({ phase: 'aborted', abort: { code: 'SECAGG_TOO_FEW' } });
      expect(codeOf(() => planUnmask(terms, coordinator))).toBe('SECAGG_OUT_OF_ORDER');
      const again = advertise({ ...terms, attempt: 2 }, 1, me, rng);
      expect(again.state.sid).not.toEqual(sid);
      expect(again.message.maskKey).not.toEqual(coordinator.adverts[0]!.maskKey);
    },
  );

  test('retry of a round: a silo that released R4 shares refuses any later attempt of that round', () => {
    const state = stateAt<ReleasedSilo>(at('release'), 'released');
    for (const attempt of [2, 3]) {
      expect(codeOf(() => checkRetry([state], { ...terms, attempt }))).toBe(
        'SECAGG_ROUND_RELEASED',
      );
    }
    expect(codeOf(() => checkRetry([state], { ...terms, round: terms.round + 1 }))).toBeUndefined();
  });

  test('agent restart mid-round: resumes from its persisted single-use state at every step', () => {
    const session = new TestSession({ terms, vectors, restart: true }).runThrough('release');
    expect(isPhaseFull(terms, session.coordinator)).toBe(true);
    expect(opened(session)).toBe(15);
  });
});
