import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { fromBase64 } from '@medley/kit';
import { deserializeSilo, judge, type SharedSilo, type SharesMessage } from '@medley/secagg';
import { deliveredTo } from '../../packages/secagg/src/wire/boxTree.ts';
import { evidenceOf } from '../../packages/secagg/src/coordinator/evidence.ts';
import type { TestAuthority } from '../support/certificates.ts';
import { HostileAggregator, hostileAuthority } from '../support/hostileAggregator.ts';
import { withBrokenBoxes, withOtherShares } from '../support/hostileShares.ts';
import { ACCOMPLICE, VICTIM, withBoxes } from '../support/lie.ts';

let authority: TestAuthority;
let host: HostileAggregator;
beforeAll(async () => {
  authority = await hostileAuthority();
});
afterEach(async () => {
  await host.close();
});

async function stateOf(silo: number): Promise<SharedSilo> {
  const { state } = await host.onDisk(silo);
  const stored = deserializeSilo(fromBase64(String(state))!, host.federation.terms);
  if (stored.phase !== 'shared') throw new Error('not after R1');
  return stored;
}

describe('a silo that spoils a box, and a real agent that gets it over mutual TLS', () => {
  const lies: [string, typeof withBrokenBoxes][] = [
    ['does not open', withBrokenBoxes],
    ['holds other shares than were signed for', withOtherShares],
  ];

  test.each(lies)(
    'the box %s: the agent complains, convicts it, and leaves',
    async (_what, lie) => {
      host = await HostileAggregator.open(5, authority);
      const { federation } = host;
      federation.begin(0);
      await host.reach('mask');
      const { identity } = federation.member(ACCOMPLICE);
      const message: SharesMessage = lie(await stateOf(ACCOMPLICE), [VICTIM], identity);
      const { sid } = federation.coordinator;
      const spoilt = deliveredTo(sid, message, VICTIM)!;
      const from = host.heard.length;
      host.send(
        VICTIM,
        // The wire's Buffers are Uint8Arrays.
        withBoxes(federation.task(VICTIM)!, (boxes) =>
          boxes.map((one) => (one.from === ACCOMPLICE ? ({ ...spoilt } as typeof one) : one)),
        ),
      );
      expect(await host.answer(VICTIM, from)).toMatchObject({ step: 'complain', onDisk: 'ended' });
      const [complaint] = host.complaints;
      const shares = federation.coordinator.shares.map((one) =>
        one.silo === ACCOMPLICE ? message : one,
      );
      const evidence = evidenceOf({ ...federation.coordinator, shares }, complaint!);
      expect(complaint!.about).toBe(ACCOMPLICE);
      expect(() => judge({ terms: federation.terms, sid }, evidence)).not.toThrow();
      // Its keys were off the disk before the complaint left, and no key of its own was in it.
      expect(await host.onDisk(VICTIM)).toMatchObject({
        phase: 'ended',
        code: 'SECAGG_BOX_INVALID',
      });
      expect(host.steps(VICTIM)).toEqual(['advertise', 'share', 'complain']);
      expect(host.leaks()).toEqual([]);
      expect(host.openShares()).toEqual([]);
    },
  );

  test('a box that the aggregator spoilt is no complaint: the agent says nothing about the sender', async () => {
    host = await HostileAggregator.open(5, authority);
    host.federation.begin(0);
    await host.reach('mask');
    const from = host.heard.length;
    host.send(
      VICTIM,
      withBoxes(host.federation.task(VICTIM)!, ([first, ...rest]) => [
        { ...first!, seedHash: Buffer.alloc(32) },
        ...rest,
      ]),
    );
    expect(await host.answer(VICTIM, from)).toMatchObject({
      ...{ step: 'withdraw', code: 'SECAGG_SIGNATURE_INVALID' },
    });
    expect(host.complaints).toEqual([]);
    expect(host.leaks()).toEqual([]);
  });
});
