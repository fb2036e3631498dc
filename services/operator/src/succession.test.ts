import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readText, systemClock, systemRng } from '@medley/kit';
import { adoptSuccessor, leafOf, readAuthorities, verifyIssued } from '@medley/pki';
import { readAuditConfig, readServerTls } from '@medley/audit';
import { readAggregatorConfig } from '../../aggregator/src/config.ts';
import { readKeys } from '../../aggregator/src/keys.ts';
import { openHomeAuthority } from './authority.ts';
import { createConsortium } from './consortium.ts';
import { openHome } from './home.ts';
import { announceAuthority, enthroneAuthority } from './succession.ts';

test('an authority is succeeded in two halves, and its word is what agents need', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'medley-succession-'));
  const [operator, aggregatorHome, auditHome] = ['operator', 'aggregator', 'audit'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const passphrase = 'correct horse battery';
  const shared = { passphrase, clock: systemClock, rng: systemRng, keyBits: 2048 };
  const made = await createConsortium({
    consortium: 'northsea',
    operator: 'ada',
    home: operator,
    aggregatorHome,
    auditHome,
    host: '127.0.0.1',
    ports: { enrolment: 0, rounds: 0, audit: 0 },
    approvals: 1,
    ...shared,
  });
  const pinned = await readText(join(operator, 'ca.pem'));
  const homes = { aggregatorHome, auditHome, ...shared };
  const serverLeaf = async (home: string): Promise<string> =>
    leafOf(await readText(join(home, 'tls.pem')));

  const pin = await announceAuthority({ home: await openHome(operator), ...homes });
  const again = announceAuthority({ home: await openHome(operator), ...homes });
  await expect(again).rejects.toMatchObject({ code: 'OPERATOR_HOME_EXISTS' });
  const announced = await readKeys(await readAggregatorConfig(made.aggregatorConfig));
  const [old, next] = readAuthorities(announced.caPem);
  expect([old?.spkiSha256, next?.spkiSha256]).toEqual([made.caPin, pin]);
  // What an agent does with it: its own pinned authority, the successor, the word.
  const trusted = adoptSuccessor(pinned, next!.pem, announced.crossPem, Date.now());
  // Nothing has changed hands: the servers are still the old authority's.
  expect(verifyIssued(await serverLeaf(aggregatorHome), pinned, Date.now()).subject.role).toBe(
    'aggregator',
  );

  await enthroneAuthority({ home: await openHome(operator), ...homes });
  for (const home of [aggregatorHome, auditHome]) {
    const leaf = await serverLeaf(home);
    expect(verifyIssued(leaf, trusted, Date.now()).subject.consortium).toBe('northsea');
    expect(() => verifyIssued(leaf, pinned, Date.now())).toThrow(
      expect.objectContaining({ code: 'PKI_CERTIFICATE_FOREIGN' }),
    );
  }
  const home = await openHome(operator);
  expect((await openHomeAuthority(home, passphrase)).certificatePem).toBe(next!.pem);
  expect(verifyIssued(home.certPem, next!.pem, Date.now()).subject.name).toBe('ada');
  const keys = await readKeys(await readAggregatorConfig(made.aggregatorConfig));
  expect((await keys.renewals())?.certificatePem).toBeDefined();
  expect(readAuthorities(keys.caPem).map(({ spkiSha256 }) => spkiSha256)).toEqual([
    pin,
    made.caPin,
  ]);
  expect((await readServerTls(await readAuditConfig(made.auditConfig))).caPem).toBe(keys.caPem);
  expect(await readFile(join(operator, 'ca.key.pem'), 'utf8')).toContain('ENCRYPTED');
});
