import { describe, expect, test } from '@jest/globals';
import {
  TestSession,
  codeOf,
  identityOf,
  signerOf,
  termsFor,
  type Step,
} from '../../../../tests/support/secagg.ts';
import { withForeignSecrets } from '../../../../tests/support/hostileShares.ts';
import { signedShares } from '../wire/boxTree.ts';
import { setHash } from '../wire/frame.ts';
import {
  advertBytes,
  confirmationBytes,
  maskedBytes,
  releaseBytes,
  type Release,
} from '../wire/messages.ts';
import type { SharedSilo } from '../silo/state.ts';
import {
  deserializeSharing,
  judgeSharing,
  serializeSharing,
  type SharingEvidence,
} from '../dispute/sharing.ts';
import { sharingEvidence } from './evidence.ts';
import { accept, type CoordinatorEvent } from './accept.ts';
import { awaitedSilos, closePhase, deliverables, isPhaseFull } from './phase.ts';
import { openCoordinator, sharersOf, survivorsOf, type CoordinatorState } from './state.ts';
import { deserializeCoordinator, serializeCoordinator } from './stored.ts';
import { brokenSharers, planUnmask, removeMasks } from './unmask.ts';

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
    const signature = signerOf(2).sign(signedShares(coordinator.sid, unsigned));
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

  test('refuses a release with both shares of one silo, with one missing or another one', () => {
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
      { seedShares: good.seedShares.map((entry, i) => (i === 2 ? { ...entry, share } : entry)) },
      { seedShares: good.seedShares.map((entry, i) => (i === 1 ? { ...entry, share } : entry)) },
      { keyShares: [{ of: 5, share }] },
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

describe('unmasking when a silo shared another secret than it committed to', () => {
  /** Silo 2 lies in R1; the others take all five steps, silo 2 as many as given. */
  function withLiar(steps: number): TestSession {
    const stepsTaken = [5, steps, 5, 5, 5, 5, 5];
    const seven = termsFor(7);
    const inputs = seven.roster.map((_, i) => new Uint32Array(10).fill(i + 1));
    const lies = new Map([[2, (state: SharedSilo) => withForeignSecrets(state, signerOf(2))]]);
    const options = { terms: seven, vectors: inputs, stepsTaken, lies };
    return new TestSession(options).runThrough('release');
  }

  test.each([
    ['its seed, and stays', 5, 'seed of silo 2'],
    ['its mask key, and is lost', 2, 'key of silo 2'],
  ])('names the silo that lied about %s, and nobody else', (_title, steps, what) => {
    const { coordinator, terms: seven } = withLiar(steps);
    expect(coordinator.phase).toBe('complete');
    const act = () => planUnmask(seven, coordinator);
    expect(codeOf(act)).toBe('SECAGG_UNMASK_FAILED');
    expect(act).toThrow(what);
    expect(brokenSharers(seven, coordinator)).toEqual([2]);
    const { sid } = coordinator;
    const evidence = sharingEvidence(seven, coordinator, 2);
    expect(() => judgeSharing({ terms: seven, sid }, evidence)).not.toThrow();
    expect(deserializeSharing(serializeSharing(evidence))).toEqual(evidence);
    const verdict = (change: Partial<SharingEvidence>) =>
      codeOf(() => judgeSharing({ terms: seven, sid }, { ...evidence, ...change }));
    const [first, ...rest] = evidence.shares;
    const swapped = { ...first!, share: rest[0]!.share };
    expect(verdict({ shares: [swapped, ...rest] })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(verdict({ shares: rest })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(verdict({ accused: coordinator.adverts[2]! })).toBe('SECAGG_MESSAGE_MALFORMED');
    expect(verdict({ count: 7 })).toBe('SECAGG_SIGNATURE_INVALID');
  });

  test('names nobody in an honest session', () => {
    const { coordinator } = new TestSession({ terms, vectors }).runThrough('release');
    expect(brokenSharers(terms, coordinator)).toEqual([]);
    const { sid } = coordinator;
    for (let silo = 1; silo <= 5; silo++) {
      const evidence = sharingEvidence(terms, coordinator, silo);
      expect(codeOf(() => judgeSharing({ terms, sid }, evidence))).toBe('SECAGG_COMPLAINT_FALSE');
    }
  });

  test('takes the bytes of a sum for no evidence', () => {
    expect(deserializeSharing(new Uint8Array(400))).toBeUndefined();
    expect(deserializeSharing(new TextEncoder().encode('{"format":"x"}'))).toBeUndefined();
    const pretended = new TextEncoder().encode('{"format":"medley/secagg/v2/sharing"}');
    expect(codeOf(() => deserializeSharing(pretended))).toBe('SECAGG_MESSAGE_MALFORMED');
  });

  test('saves the round where enough shares fit together, and blames the sharer', () => {
    const many = termsFor(9, { threshold: 5, minSurvivors: 5 });
    const ones = many.roster.map(() => new Uint32Array(10).fill(1));
    const nine = new TestSession({ terms: many, vectors: ones }).runThrough('release');
    // The shares of silo 3's seed for silos 1 and 5 are wrong, as it signed for them.
    const releases = nine.coordinator.releases.map((release) =>
      release.silo === 1 || release.silo === 5
        ? {
            ...release,
            seedShares: release.seedShares.map((entry, i) =>
              entry.of === 3 ? { ...entry, share: release.seedShares[i + 1]!.share } : entry,
            ),
          }
        : release,
    );
    const plan = planUnmask(many, { ...nine.coordinator, releases });
    expect(plan.blamed.map(({ silo }) => silo)).toEqual([3]);
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
