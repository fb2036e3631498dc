import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ErrorCode } from '@medley/kit';
import type { Confirmation } from '@medley/secagg';
import type { TestAuthority } from '../support/certificates.ts';
import { HostileAggregator, hostileAuthority } from '../support/hostileAggregator.ts';
import {
  ACCOMPLICE,
  VICTIM,
  accompliceConfirmation,
  stepOf,
  withAdverts,
  withBoxes,
} from '../support/lie.ts';

let authority: TestAuthority;
let host: HostileAggregator;
beforeAll(async () => {
  authority = await hostileAuthority();
});
afterEach(async () => {
  await host.close();
});

async function open(silos = 5): Promise<HostileAggregator> {
  host = await HostileAggregator.open(silos, authority);
  host.federation.begin(0);
  return host;
}

describe('a hostile aggregator that replays', () => {
  test('replayed keys: the adverts of an earlier attempt: SECAGG_SIGNATURE_INVALID', async () => {
    await open();
    await host.reach('share');
    const old = stepOf(host.federation.task(VICTIM)!, 'share').adverts;
    host.federation.begin(0, 2);
    await host.reach('share');
    const own = old.find(({ silo }) => silo === VICTIM)!;
    const from = host.heard.length;
    host.send(
      VICTIM,
      withAdverts(host.federation.task(VICTIM)!, (fresh) => [
        ...old.filter((one) => one !== own && one.silo < VICTIM),
        ...fresh.filter(({ silo }) => silo === VICTIM),
        ...old.filter(({ silo }) => silo > VICTIM),
      ]),
    );
    expect(await host.answer(VICTIM, from)).toMatchObject({ code: 'SECAGG_SIGNATURE_INVALID' });
    expect(host.steps(VICTIM, 2)).toEqual(['advertise']);
    expect(host.leaks()).toEqual([]);
  });

  test('an old sid: the session of an earlier attempt: ROUND_SESSION_MISMATCH', async () => {
    await open();
    await host.reach('share');
    const { sessionId: old } = host.federation.task(VICTIM)!;
    host.federation.begin(0, 2);
    const from = host.heard.length;
    host.send(VICTIM, { ...host.federation.task(VICTIM)!, sessionId: old });
    expect(await host.answer(VICTIM, from)).toMatchObject({ code: 'ROUND_SESSION_MISMATCH' });
    expect(host.steps(VICTIM, 2)).toEqual([]);
    expect(host.leaks()).toEqual([]);
  });

  test('an old step: an attempt that is over is not taken up again', async () => {
    await open();
    await host.reach('mask');
    const old = host.federation.task(VICTIM)!;
    host.federation.begin(0, 2);
    await host.ask([VICTIM]);
    host.send(VICTIM, old);
    host.federation.begin(0, 3);
    await host.ask([VICTIM]);
    expect(host.steps(VICTIM, 1)).toEqual(['advertise', 'share']);
    expect(host.leaks()).toEqual([]);
  });

  test('boxes of an earlier attempt: SECAGG_SIGNATURE_INVALID', async () => {
    await open();
    await host.reach('mask');
    const { boxes } = stepOf(host.federation.task(VICTIM)!, 'mask');
    host.federation.begin(0, 2);
    await host.reach('mask');
    const from = host.heard.length;
    host.send(
      VICTIM,
      withBoxes(host.federation.task(VICTIM)!, () => boxes),
    );
    expect(await host.answer(VICTIM, from)).toMatchObject({ code: 'SECAGG_SIGNATURE_INVALID' });
    expect(host.steps(VICTIM, 2)).toEqual(['advertise', 'share']);
    expect(host.leaks()).toEqual([]);
  });
});

describe('a hostile aggregator that wants both shares of one silo', () => {
  const FULL = [1, 2, 3, 4, 5];
  const WITHOUT_FOUR = [1, 2, 3, 5];

  test('split survivor sets: nobody gets t signatures, nobody releases: SECAGG_EQUIVOCATION', async () => {
    await open();
    await host.reach('confirm');
    const { federation } = host;
    const signed: Confirmation[] = [
      accompliceConfirmation(host.federation, FULL),
      accompliceConfirmation(host.federation, WITHOUT_FOUR),
    ];
    const confirmations = new Map<number, readonly number[]>([
      [1, FULL],
      [2, WITHOUT_FOUR],
      [3, WITHOUT_FOUR],
      [4, FULL],
    ]);
    for (const [silo, survivors] of confirmations) {
      const from = host.heard.length;
      host.send(silo, federation.taskWith({ name: 'confirm', survivors }));
      expect(await host.answer(silo, from)).toMatchObject({ step: 'confirm', onDisk: 'confirmed' });
    }
    signed.push(...host.confirmations);
    // Every signature that there is, then only those of the set that the victim signed.
    const sets: readonly [number, readonly Confirmation[], ErrorCode][] = [
      [1, signed.filter(({ silo }, i) => i !== 1 || silo !== ACCOMPLICE), 'SECAGG_EQUIVOCATION'],
      [4, signed.filter(({ silo }, i) => i === 0 || [1, 4].includes(silo)), 'SECAGG_TOO_FEW'],
      [2, signed.filter(({ silo }, i) => i === 1 || [2, 3].includes(silo)), 'SECAGG_TOO_FEW'],
    ];
    for (const [silo, list, code] of sets) {
      const from = host.heard.length;
      host.send(silo, federation.taskWith({ name: 'release', confirmations: list as never }));
      expect(await host.answer(silo, from)).toMatchObject({ step: 'withdraw', code });
    }
    expect(host.openShares()).toEqual([]);
    expect(host.leaks()).toEqual([]);
  });

  test('a second survivor set for one silo: SECAGG_EQUIVOCATION', async () => {
    await open();
    await host.reach('release');
    await host.finished(VICTIM, 'confirm');
    const from = host.heard.length;
    host.send(VICTIM, host.federation.taskWith({ name: 'confirm', survivors: WITHOUT_FOUR }));
    expect(await host.answer(VICTIM, from)).toMatchObject({ code: 'SECAGG_EQUIVOCATION' });
    expect(host.openShares()).toEqual([]);
    expect(host.leaks()).toEqual([]);
  });

  test('asking for the other share after the release: nothing but the first answer again', async () => {
    await open();
    await host.reach('mask');
    // Silo 4 is lost between R1 and R2: its mask key is opened, so its seed must stay closed.
    await host.ask([1, 2, 3, 5]);
    host.federation.closeStep();
    await host.ask();
    host.federation.closeStep();
    await host.ask();
    expect(host.openShares().filter((share) => share.endsWith(' 4'))).toEqual(
      WITHOUT_FOUR.map((silo) => `${silo} s 4`),
    );
    const released = host.openShares();
    await host.finished(VICTIM, 'release');
    const confirmations = [accompliceConfirmation(host.federation, FULL)] as never;
    host.send(VICTIM, host.federation.taskWith({ name: 'confirm', survivors: FULL }));
    const from = host.heard.length;
    host.send(VICTIM, host.federation.taskWith({ name: 'release', confirmations }));
    expect(await host.answer(VICTIM, from)).toMatchObject({ step: 'release', onDisk: 'released' });
    expect(host.openShares()).toEqual(released);
    expect(host.leaks()).toEqual([]);
  });

  test('a retry after release: SECAGG_ROUND_RELEASED from every silo', async () => {
    await open();
    await host.reach('complete');
    host.federation.begin(0, 2);
    const from = host.heard.length;
    await host.ask();
    expect(host.heard.slice(from).map(({ code }) => code)).toEqual(
      Array.from({ length: 5 }, () => 'SECAGG_ROUND_RELEASED'),
    );
    expect(host.leaks()).toEqual([]);
  });
});

describe('what was on disk when a message left', () => {
  test('the single-use state of every step is durable before its message', async () => {
    await open(3);
    await host.reach('complete');
    const phases = { advertise: 'advertised', share: 'shared', mask: 'masked' } as const;
    const later = { confirm: 'confirmed', release: 'released' } as const;
    for (const one of host.heard) {
      expect(one.onDisk).toBe({ ...phases, ...later }[one.step as keyof typeof phases]);
    }
    expect(host.heard).toHaveLength(15);
    expect(host.leaks()).toEqual([]);
  });

  test('the check for leaks can fail: it sees a private key and a pair of shares that left', async () => {
    await open(3);
    await host.reach('confirm');
    host.tape.push(host.secrets.bytes());
    const each = (what: (silo: number) => string): string[] =>
      [1, 2, 3].map((silo) => `round 0, attempt 1: ${what(silo)}`);
    expect(host.leaks()).toEqual([
      ...each((silo) => `a private value of silo ${silo}`),
      ...each((silo) => `both shares of silo ${silo}`),
    ]);
  });
});
