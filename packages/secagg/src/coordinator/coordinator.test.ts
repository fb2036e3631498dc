import { describe, expect, test } from '@jest/globals';
import {
  TestSession,
  codeOf,
  identityOf,
  signerOf,
  termsFor,
  type Step,
} from '../../../../tests/support/secagg.ts';
import { setHash } from '../wire/frame.ts';
import {
  advertBytes,
  confirmationBytes,
  maskedBytes,
  releaseBytes,
  sharesBytes,
  type Release,
} from '../wire/messages.ts';
import { accept, type CoordinatorEvent } from './accept.ts';
import { awaitedSilos, closePhase, deliverables, isPhaseFull } from './phase.ts';
import { openCoordinator, sharersOf, survivorsOf, type CoordinatorState } from './state.ts';
import { deserializeCoordinator, serializeCoordinator } from './stored.ts';
import { planUnmask, removeMasks } from './unmask.ts';

const terms = termsFor(5);
const vectors = terms.roster.map((_, i) => new Uint32Array(10).fill(i + 1));

/** The session with everybody's message of `step` delivered and the phase still open. */
function delivered(step: Step, stepsTaken?: readonly number[]): TestSession {
  const session = new TestSession({
    terms,
    vectors,
    ...(stepsTaken === undefined ? {} : { stepsTaken }),
  });
  const earlier = {
    advertise: undefined,
    share: 'advertise',
    mask: 'share',
    confirm: 'mask',
    release: 'confirm',
  } as const;
  const last = earlier[step];
  if (last !== undefined) session.runThrough(last);
  session.deliver(step);
  return session;
}

function eventsOf(state: CoordinatorState): CoordinatorEvent[] {
  return [
    ...state.adverts.map((message) => ({ kind: 'advert', message }) as const),
    ...state.shares.map((message) => ({ kind: 'shares', message }) as const),
    ...state.headers.map((header) => ({ kind: 'masked', header }) as const),
    ...state.confirmations.map((message) => ({ kind: 'confirmation', message }) as const),
    ...state.releases.map((message) => ({ kind: 'release', message }) as const),
  ];
}

/** The state as if silo `silo` had not spoken in the present phase. */
function without(state: CoordinatorState, silo: number): CoordinatorState {
  const list = {
    advertise: 'adverts',
    share: 'shares',
    mask: 'headers',
    confirm: 'confirmations',
    release: 'releases',
  } as const;
  const name = list[state.phase as Step];
  return { ...state, [name]: state[name].filter((message) => message.silo !== silo) };
}

const refusal = (state: CoordinatorState, event: CoordinatorEvent) =>
  codeOf(() => accept(terms, state, event));

describe('accept', () => {
  const complete = new TestSession({ terms, vectors }).runThrough('release').coordinator;

  test('takes an exact repeat of any message at any time as no change', () => {
    for (const event of eventsOf(complete)) expect(accept(terms, complete, event)).toBe(complete);
  });

  test('gives one state for any order of arrival', () => {
    const open = openCoordinator(terms);
    const adverts = complete.adverts.map((message) => ({ kind: 'advert', message }) as const);
    const run = (events: readonly CoordinatorEvent[]) =>
      events.reduce((state, event) => accept(terms, state, event), open);
    expect(run(adverts.toReversed())).toEqual(run(adverts));
  });

  test.each(['advertise', 'share', 'mask', 'confirm', 'release'] as const)(
    'refuses a message of step %s after its phase, and before it',
    (step) => {
      const session = delivered(step);
      const late = closePhase(terms, without(session.coordinator, 5));
      const event = eventsOf(session.coordinator).at(-1)!;
      expect(refusal(late, event)).toBe('SECAGG_LATE');
      if (step === 'advertise') return;
      expect(refusal(openCoordinator(terms), event)).toBe('SECAGG_OUT_OF_ORDER');
    },
  );

  test('refuses state and messages of another session', () => {
    const other = { ...terms, attempt: 2 };
    const open = openCoordinator(other);
    const [advert] = complete.adverts;
    const event = { kind: 'advert', message: advert! } as const;
    expect(codeOf(() => accept(terms, open, event))).toBe('SECAGG_SESSION_MISMATCH');
    expect(codeOf(() => accept(other, open, event))).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('refuses what is no message at all', () => {
    const open = openCoordinator(terms);
    for (const kind of ['advert', 'shares', 'confirmation', 'release'] as const) {
      const event = { kind, message: { silo: 1 } } as unknown as CoordinatorEvent;
      expect(refusal(open, event)).toBe('SECAGG_MESSAGE_MALFORMED');
    }
  });

  test('refuses a silo that is not on the roster', () => {
    const message = { ...complete.adverts[0]!, silo: 9 };
    expect(refusal(openCoordinator(terms), { kind: 'advert', message })).toBe(
      'SECAGG_SILO_UNKNOWN',
    );
  });

  test('refuses a message signed with another identity', () => {
    const { sid } = complete;
    const message = { ...complete.adverts[0]! };
    const signature = identityOf('mallory').signer.sign(advertBytes(sid, message));
    const event = { kind: 'advert', message: { ...message, signature } } as const;
    expect(refusal(openCoordinator(terms), event)).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('refuses a second, different advert and a key that another silo advertised', () => {
    const { coordinator } = delivered('advertise');
    const { sid, adverts } = coordinator;
    const signed = (silo: number, maskKey: Uint8Array) => {
      const unsigned = { ...adverts[silo - 1]!, maskKey };
      return { ...unsigned, signature: signerOf(silo).sign(advertBytes(sid, unsigned)) };
    };
    const other = signed(2, signed(3, new Uint8Array(32).fill(9)).maskKey);
    expect(refusal(coordinator, { kind: 'advert', message: other })).toBe('SECAGG_CONFLICT');
    const copied = signed(2, adverts[0]!.maskKey);
    expect(refusal(without(coordinator, 2), { kind: 'advert', message: copied })).toBe(
      'SECAGG_KEY_REUSED',
    );
    const weak = signed(2, new Uint8Array(32));
    expect(refusal(without(coordinator, 2), { kind: 'advert', message: weak })).toBe(
      'SECAGG_KEY_WEAK',
    );
  });

  test('refuses boxes that are not one for every other advertiser', () => {
    const { coordinator } = delivered('share');
    const shares = coordinator.shares[1]!;
    const unsigned = { ...shares, boxes: shares.boxes.slice(1) };
    const signature = signerOf(2).sign(sharesBytes(coordinator.sid, unsigned));
    const event = { kind: 'shares', message: { ...unsigned, signature } } as const;
    expect(refusal(without(coordinator, 2), event)).toBe('SECAGG_SHARERS_INVALID');
  });

  test('refuses a vector from a silo that is not among the sharers', () => {
    const whole = delivered('mask').coordinator;
    const partial = delivered('mask', [5, 5, 5, 5, 1]).coordinator;
    expect(refusal(partial, { kind: 'masked', header: whole.headers[4]! })).toBe(
      'SECAGG_SILO_ABSENT',
    );
  });

  test('refuses a vector that was masked for other sharers', () => {
    const { coordinator } = delivered('mask');
    const { sid } = coordinator;
    const unsigned = { ...coordinator.headers[1]!, sharersHash: setHash(sid, [1, 2, 3, 4]) };
    const header = { ...unsigned, signature: signerOf(2).sign(maskedBytes(sid, unsigned)) };
    expect(refusal(without(coordinator, 2), { kind: 'masked', header })).toBe(
      'SECAGG_EQUIVOCATION',
    );
    expect(refusal(coordinator, { kind: 'masked', header })).toBe('SECAGG_CONFLICT');
  });

  test('refuses a confirmation of other survivors, and one by a silo that is no survivor', () => {
    const { coordinator } = delivered('confirm', [5, 5, 5, 5, 2]);
    const { sid } = coordinator;
    const signed = (silo: number, survivors: number[]) => {
      const sharersHash = setHash(sid, [1, 2, 3, 4, 5]);
      const unsigned = { silo, survivorsHash: setHash(sid, survivors), sharersHash };
      return { ...unsigned, signature: signerOf(silo).sign(confirmationBytes(sid, unsigned)) };
    };
    const other = { kind: 'confirmation', message: signed(2, [1, 2, 3, 4, 5]) } as const;
    expect(refusal(without(coordinator, 2), other)).toBe('SECAGG_EQUIVOCATION');
    const outside = { kind: 'confirmation', message: signed(5, [1, 2, 3, 4]) } as const;
    expect(refusal(coordinator, outside)).toBe('SECAGG_SILO_ABSENT');
  });

  test('refuses a release with both shares of one silo, with one missing, or with no field element', () => {
    const { coordinator } = delivered('release', [5, 5, 5, 5, 2]);
    const { sid } = coordinator;
    const good = coordinator.releases[1]!;
    const signed = (change: Partial<Release>) => {
      const unsigned = { ...good, ...change };
      return { ...unsigned, signature: signerOf(2).sign(releaseBytes(sid, unsigned)) };
    };
    const share = good.seedShares[0]!.share;
    const cases: Partial<Release>[] = [
      { keyShares: [{ of: 1, share }, ...good.keyShares] },
      { seedShares: [...good.seedShares, { of: 5, share }] },
      { seedShares: good.seedShares.slice(1) },
      { keyShares: [] },
      { keyShares: [{ of: 5, share: new Uint8Array(32).fill(0xff) }] },
    ];
    for (const change of cases) {
      const event = { kind: 'release', message: signed(change) } as const;
      expect(refusal(without(coordinator, 2), event)).toBe('SECAGG_RELEASE_INVALID');
    }
  });
});

describe('closing a phase', () => {
  test('waits for those who may still speak', () => {
    const { coordinator } = delivered('share', [5, 5, 1, 5, 0]);
    expect(coordinator.phase).toBe('share');
    expect(awaitedSilos(terms, coordinator)).toEqual([3]);
    expect(isPhaseFull(terms, coordinator)).toBe(false);
    expect(isPhaseFull(terms, delivered('share', [5, 5, 5, 5, 0]).coordinator)).toBe(true);
  });

  test.each([
    ['advertise', [5, 5, 5, 0, 0]],
    ['share', [5, 5, 5, 1, 1]],
    ['mask', [5, 5, 5, 2, 2]],
    ['confirm', [5, 5, 5, 3, 3]],
    ['release', [5, 5, 5, 4, 4]],
  ] as const)('aborts at %s when too few delivered, and stays aborted', (step, stepsTaken) => {
    const { coordinator } = new TestSession({ terms, vectors, stepsTaken }).runThrough('release');
    expect(coordinator.phase).toBe('aborted');
    expect(coordinator.abort).toMatchObject({ code: 'SECAGG_TOO_FEW', phase: step });
    expect(closePhase(terms, coordinator)).toBe(coordinator);
    expect(isPhaseFull(terms, coordinator)).toBe(true);
    expect(deliverables(coordinator, 1)).toEqual({ step: 'aborted' });
    expect(codeOf(() => planUnmask(terms, coordinator))).toBe('SECAGG_OUT_OF_ORDER');
  });

  test('hands a silo that dropped out nothing more, and boxes only to their addressee', () => {
    const stepsTaken = [5, 5, 5, 5, 0];
    const session = new TestSession({ terms, vectors, stepsTaken });
    const steps: string[] = [];
    for (const step of ['advertise', 'share', 'mask', 'confirm'] as const) {
      session.runThrough(step);
      steps.push(deliverables(session.coordinator, 5).step);
    }
    expect(steps).toEqual(['none', 'none', 'none', 'none']);
    expect(sharersOf(session.coordinator)).toEqual([1, 2, 3, 4]);
    expect(survivorsOf(session.coordinator)).toEqual([1, 2, 3, 4]);
    const sent = session.coordinator.shares.flatMap(({ boxes }) =>
      boxes.filter(({ to }) => to === 2),
    );
    const masking = new TestSession({ terms, vectors, stepsTaken }).runThrough('share').coordinator;
    const next = deliverables(masking, 2);
    if (next.step !== 'mask') throw new Error('no delivery');
    expect(next.delivery.boxes.map(({ box }) => box)).toEqual(sent.map(({ box }) => box));
  });
});

describe('unmasking with wrong shares', () => {
  const seven = termsFor(7);
  const inputs = seven.roster.map((_, i) => new Uint32Array(10).fill(i + 1));
  const stepsTaken = [5, 5, 5, 5, 5, 5, 2];
  const session = new TestSession({ terms: seven, vectors: inputs, stepsTaken }).runThrough(
    'release',
  );
  const plainSum = new Uint32Array(10).fill(21);

  /** The releases with the shares that `liars` sent replaced by a neighbour's. */
  function lying(liars: readonly number[], of: readonly number[]): CoordinatorState {
    const releases = session.coordinator.releases.map((release) => {
      if (!liars.includes(release.silo)) return release;
      const other = session.coordinator.releases[release.silo % 6]!;
      const swap = (name: 'seedShares' | 'keyShares') =>
        release[name].map((entry, i) => (of.includes(entry.of) ? other[name][i]! : entry));
      return { ...release, seedShares: swap('seedShares'), keyShares: swap('keyShares') };
    });
    return { ...session.coordinator, releases };
  }

  test('blames the silo of a wrong seed share and recovers through other helpers', () => {
    const plan = planUnmask(seven, lying([2], [3]));
    expect(plan.blamed).toEqual([{ silo: 2, reason: 'wrong share of the seed of silo 3' }]);
    const sum = session.maskedSum();
    removeMasks(sum, plan);
    expect(sum).toEqual(plainSum);
  });

  test('blames the silo of a wrong key share of a dropped silo', () => {
    const plan = planUnmask(seven, lying([4], [7]));
    expect(plan.blamed).toEqual([{ silo: 4, reason: 'wrong share of the key of silo 7' }]);
    const sum = session.maskedSum();
    removeMasks(sum, plan);
    expect(sum).toEqual(plainSum);
  });

  test('turns to the others first once a silo was caught', () => {
    const plan = planUnmask(seven, lying([1], [1, 2, 3, 4, 5, 6, 7]));
    expect(plan.blamed).toEqual([{ silo: 1, reason: 'wrong share of the seed of silo 1' }]);
  });

  test('gives up, naming the secret, when too few right shares are left', () => {
    const act = () => planUnmask(seven, lying([1, 3], [2]));
    expect(codeOf(act)).toBe('SECAGG_UNMASK_FAILED');
    expect(act).toThrow('seed of silo 2');
  });

  test('steps around two wrong shares that are no neighbours', () => {
    const many = termsFor(9, { threshold: 5, minSurvivors: 5 });
    const ones = many.roster.map(() => new Uint32Array(10).fill(1));
    const nine = new TestSession({ terms: many, vectors: ones }).runThrough('release');
    const { releases } = nine.coordinator;
    const wrong = releases.map((release, i) =>
      [0, 4].includes(i)
        ? { ...release, seedShares: releases[8 - i + (i === 4 ? 1 : 0)]!.seedShares }
        : release,
    );
    const plan = planUnmask(many, { ...nine.coordinator, releases: wrong });
    expect(plan.blamed.map(({ silo }) => silo)).toEqual([1, 5]);
    const sum = nine.maskedSum();
    removeMasks(sum, plan);
    expect(sum).toEqual(new Uint32Array(10).fill(9));
  });
});

describe('a stored coordinator', () => {
  const { coordinator } = delivered('release', [5, 5, 5, 5, 2]);

  test('comes back as it was, also when aborted', () => {
    expect(deserializeCoordinator(serializeCoordinator(coordinator), terms)).toEqual(coordinator);
    const aborted = closePhase(terms, openCoordinator(terms));
    expect(deserializeCoordinator(serializeCoordinator(aborted), terms)).toEqual(aborted);
  });

  test('is refused under other terms, or when it is broken', () => {
    const bytes = serializeCoordinator(coordinator);
    const act = () => deserializeCoordinator(bytes, { ...terms, round: 9 });
    expect(codeOf(act)).toBe('SECAGG_SESSION_MISMATCH');
    const text = new TextDecoder().decode(bytes);
    for (const broken of [
      '{}',
      text.slice(5),
      text.replace('"release"', '"x"'),
      text.replace('null', '{}'),
    ]) {
      const read = () => deserializeCoordinator(new TextEncoder().encode(broken), terms);
      expect(codeOf(read)).toBe('SECAGG_STATE_INVALID');
    }
  });
});
