import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { canonicalBytes, type ErrorCode } from '@medley/kit';
import { charterHash, type Charter } from '@medley/study';
import { fetchOffer } from '../../silo-agent/src/study/offer.ts';
import { codeOf } from '../support/aggregator.ts';
import type { TestAuthority } from '../support/certificates.ts';
import { HostileAggregator, hostileAuthority } from '../support/hostileAggregator.ts';
import { STUDY } from '../support/hospitals.ts';
import { VICTIM, weaker, type Attack } from '../support/lie.ts';
import { FLOORS, KEYS, LISTS, RELAYS } from './attacks.ts';

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

const ORDER = ['advertise', 'share', 'mask', 'confirm', 'release'] as const;

/** The victim refused under `code`, said so, recorded it, forgot its keys, and said nothing more. */
async function expectRefusal(code: ErrorCode, step: Attack['step']): Promise<void> {
  const before = ORDER.slice(0, ORDER.indexOf(step));
  expect(host.steps(VICTIM)).toEqual(before);
  expect(host.logged).toContainEqual({ silo: VICTIM, code });
  const { phase, state, code: kept } = await host.onDisk(VICTIM);
  // Before its first message a silo has nothing to forget.
  expect([phase, state, kept]).toEqual(
    step === 'advertise' ? [undefined, undefined, undefined] : ['ended', undefined, code],
  );
  expect(host.leaks()).toEqual([]);
  // Only R4 sends a share in the open, and the victim did not get there.
  expect(host.openShares().filter((share) => share.startsWith(`${VICTIM} `))).toEqual([]);
}

describe.each([
  ['keys', KEYS],
  ['lists', LISTS],
  ['floors and terms', FLOORS],
  ['relays', RELAYS],
])('a hostile aggregator against real agents over mutual TLS: %s', (_group, attacks) => {
  test.each(attacks)('$title: $code', async ({ step, code, bend }) => {
    await open();
    await host.reach(step);
    const honest = host.federation.task(VICTIM)!;
    const from = host.heard.length;
    const lie = await bend(honest, host.federation);
    host.send(VICTIM, lie);
    const { attempt } = lie.id;
    expect(await host.answer(VICTIM, from)).toEqual({
      silo: VICTIM,
      step: 'withdraw',
      attempt,
      code,
    });
    await expectRefusal(code, step);
    if (step === 'advertise') return;
    // The truth comes too late: this attempt's keys are gone. The next attempt finds the silo well.
    host.send(VICTIM, honest);
    host.federation.begin(0, 2);
    const next = host.heard.length;
    host.send(VICTIM, host.federation.task(VICTIM)!);
    expect(await host.answer(VICTIM, next)).toMatchObject({ step: 'advertise', attempt: 2 });
    await expectRefusal(code, step);
  });
});

describe('a hostile aggregator that offers a weaker charter for signature', () => {
  const offers: readonly [string, (charter: Charter) => unknown, ErrorCode][] = [
    [
      'a threshold that lets two sums be opened',
      weaker({ threshold: 2 }),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    [
      'fewer survivors than three',
      weaker({ threshold: 3, minSurvivors: 2 }),
      'CHARTER_FLOOR_TOO_WEAK',
    ],
    ['another threshold than the study file’s', weaker({ threshold: 3 }), 'CHARTER_MISMATCH'],
    ['another suite', weaker({ suite: 2 as 1 }), 'CHARTER_INVALID'],
    ['a smaller ring', weaker({ ringBits: 8 as 32 }), 'CHARTER_INVALID'],
    ['more attempts', weaker({ maxAttempts: 9 }), 'CHARTER_MISMATCH'],
    [
      'a wider clip range',
      (charter) => ({ ...charter, clipping: { ...charter.clipping, coordinate: 9 } }),
      'CHARTER_MISMATCH',
    ],
    [
      'a key of its own in this silo’s place',
      ({ roster: [first, ...rest], ...charter }) => ({
        ...charter,
        roster: [{ ...first!, identityKey: Buffer.alloc(32, 8).toString('base64') }, ...rest],
      }),
      'STUDY_OUTSIDER',
    ],
  ];

  test.each(offers)('%s', async (_title, change, code) => {
    await open(5);
    const charter = change(host.federation.charter);
    host.charterBytes = canonicalBytes(charter);
    const { site } = host.federation.member(VICTIM).parts;
    const { signal } = new AbortController();
    expect(await codeOf(fetchOffer(host.client(VICTIM), STUDY.name, site, signal))).toBe(code);
    expect(charterHash(charter as Charter)).not.toBe(charterHash(host.federation.charter));
  });
});
