import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { readYaml, systemClock, systemRng } from '@medley/kit';
import { AUDIT_SCHEMA, readAuditConfig, readServerTls } from '@medley/audit';
import { logKeyFromPrivateKey, parseVerifierKey } from '@medley/merkle';
import { openPrivateKey, readCertificate, readIssuer, spkiPin, verifyIssued } from '@medley/pki';
import { AGGREGATOR_SCHEMA, readAggregatorConfig } from '../../aggregator/src/config.ts';
import { readKeys } from '../../aggregator/src/keys.ts';
import { openHomeAuthority } from './authority.ts';
import { createConsortium, type MadeConsortium, type NewConsortium } from './consortium.ts';
import { OPERATOR_SCHEMA, openHome } from './home.ts';

const PASSPHRASE = 'correct horse battery';

async function options(change: Partial<NewConsortium> = {}): Promise<NewConsortium> {
  const folder = await mkdtemp(join(tmpdir(), 'medley-init-'));
  return {
    consortium: 'northsea',
    operator: 'ada',
    home: join(folder, 'operator'),
    aggregatorHome: join(folder, 'servers', 'aggregator'),
    auditHome: join(folder, 'servers', 'audit'),
    host: 'agg.northsea.example',
    ports: { enrolment: 7443, rounds: 0, audit: 7445 },
    passphrase: PASSPHRASE,
    approvals: 2,
    keyBits: 2048,
    clock: systemClock,
    rng: systemRng,
    ...change,
  };
}

let made: MadeConsortium;
let given: NewConsortium;
beforeAll(async () => {
  given = await options();
  made = await createConsortium(given);
});

describe('a new consortium', () => {
  test('keeps keys to their owner and lets everyone read certificates', async () => {
    const modes: Record<string, string> = {};
    for (const folder of [given.home, given.aggregatorHome, given.auditHome]) {
      for (const name of await readdir(folder)) {
        modes[name] = ((await stat(join(folder, name))).mode & 0o777).toString(8);
      }
    }
    expect(modes).toEqual({
      'ca.pem': '644',
      'ca.key.pem': '600',
      'operator.pem': '644',
      'operator.key.pem': '600',
      'log.vkey': '644',
      'operator.yaml': '600',
      'tls.pem': '644',
      'tls.key.pem': '600',
      'log.key.pem': '600',
      'renewal.key.pem': '600',
      'renewal.pem': '644',
      'aggregator.yaml': '600',
      'audit.yaml': '600',
    });
    expect((await stat(given.home)).mode & 0o777).toBe(0o700);
  });

  test("encrypts the authority's key under the passphrase", async () => {
    const pem = await readFile(join(given.home, 'ca.key.pem'), 'utf8');
    expect(pem).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const home = await openHome(given.home);
    const wrong = openHomeAuthority(home, 'wrong horse battery');
    await expect(wrong).rejects.toMatchObject({ code: 'PKI_PASSPHRASE_WRONG' });
    expect((await openHomeAuthority(home, PASSPHRASE)).certificatePem).toBe(home.caPem);
  });

  test('issues certificates that its authority vouches for, each to its own key', async () => {
    const caPem = await readFile(join(given.home, 'ca.pem'), 'utf8');
    for (const [folder, file, role, name] of [
      [given.home, 'operator', 'operator', 'ada'],
      [given.aggregatorHome, 'tls', 'aggregator', 'aggregator'],
      [given.auditHome, 'tls', 'audit', 'audit'],
    ] as const) {
      const chain = await readFile(join(folder, `${file}.pem`), 'utf8');
      const leaf = chain.slice(0, chain.indexOf('-----END') + 26);
      const { subject, spkiSha256 } = verifyIssued(leaf, caPem, Date.now(), role);
      expect(subject).toEqual({ consortium: 'northsea', role, name });
      const key = openPrivateKey(await readFile(join(folder, `${file}.key.pem`), 'utf8'));
      expect(readCertificate(leaf).spkiSha256).toBe(spkiSha256);
      expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048);
      if (role !== 'operator') expect(chain.endsWith(caPem)).toBe(true);
    }
    expect(made.caPin).toBe(spkiPin(caPem));
  });

  test('gives the log a key that the operator knows', async () => {
    const pem = await readFile(join(given.aggregatorHome, 'log.key.pem'), 'utf8');
    const key = logKeyFromPrivateKey('medley/northsea', openPrivateKey(pem));
    const known = parseVerifierKey((await openHome(given.home)).logVerifierKey);
    expect(known).toMatchObject({ name: 'medley/northsea', role: 'log', publicKey: key.publicKey });
    expect(made.logVerifierKey).toBe((await openHome(given.home)).logVerifierKey);
  });
});

describe('its configuration', () => {
  test('opens encrypted server keys with the passphrase file that it names, and nothing else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'medley-init-'));
    const file = join(folder, 'servers.pass');
    await writeFile(file, 'battery staple horse\n', { mode: 0o600 });
    const serverKeys = { passphrase: 'battery staple horse', file };
    const sealed = await createConsortium(await options({ serverKeys, approvals: 1 }));
    const config = await readAggregatorConfig(sealed.aggregatorConfig);
    const audit = await readAuditConfig(sealed.auditConfig);
    for (const key of [config.tls.key, config.logKey, config.renewal.key, audit.tls.key]) {
      expect(await readFile(key, 'utf8')).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    }
    const keys = await readKeys(config);
    expect((await keys.renewals())?.privateKey.type).toBe('private');
    expect((await readServerTls(audit)).keyPem).toContain('BEGIN PRIVATE KEY');
    await writeFile(file, 'another passphrase\n');
    const refused = expect.objectContaining({ code: 'PKI_PASSPHRASE_WRONG' });
    await expect(readKeys(config)).rejects.toEqual(refused);
    await expect(readServerTls(audit)).rejects.toEqual(refused);
    expect(config.approvals).toBe(1);
  });

  test('is what the aggregator reads, with its keys', async () => {
    await readYaml(made.aggregatorConfig, AGGREGATOR_SCHEMA);
    const config = await readAggregatorConfig(made.aggregatorConfig);
    expect(config).toMatchObject({
      consortium: 'northsea',
      database: join(given.aggregatorHome, 'medley.db'),
      listen: { enrolment: '0.0.0.0:7443', rounds: '0.0.0.0:0' },
      publicHost: 'agg.northsea.example',
    });
    const keys = await readKeys(config);
    expect(keys.logKey.name).toBe('medley/northsea');
    expect(config).toMatchObject({ founders: ['ada'], approvals: 2 });
    const renewals = await keys.renewals();
    expect(readIssuer(renewals?.certificatePem ?? '')).toMatchObject({ isRenewal: true });
    expect(await keys.renewals()).toBe(renewals);
  });

  test("is what the audit service reads, over the aggregator's own file", async () => {
    await readYaml(made.auditConfig, AUDIT_SCHEMA);
    const config = await readAuditConfig(made.auditConfig);
    expect(config).toMatchObject({
      database: join(given.aggregatorHome, 'medley.db'),
      listen: '0.0.0.0:7445',
      publicHost: 'agg.northsea.example',
    });
    expect((await readServerTls(config)).certChainPem).toContain('BEGIN CERTIFICATE');
  });

  test("leads the operator to both servers' endpoints", async () => {
    await readYaml(join(given.home, 'operator.yaml'), OPERATOR_SCHEMA);
    const { config } = await openHome(given.home);
    expect(config.aggregator).toEqual({ endpointsFile: '../servers/aggregator/endpoints.json' });
    expect(config.audit).toEqual({ endpointsFile: '../servers/audit/endpoints.json' });
  });
});

describe('refuses', () => {
  test.each(['home', 'aggregatorHome', 'auditHome'] as const)(
    'to touch a folder that is in use as %s',
    async (which) => {
      const other = { ...(await options()), [which]: given[which] };
      await expect(createConsortium(other)).rejects.toMatchObject({ code: 'OPERATOR_HOME_EXISTS' });
    },
  );

  test('a folder in which a log is left', async () => {
    const other = {
      ...(await options()),
      aggregatorHome: await mkdtemp(join(tmpdir(), 'medley-')),
    };
    await writeFile(join(other.aggregatorHome, 'medley.db'), '');
    await expect(createConsortium(other)).rejects.toMatchObject({ code: 'OPERATOR_HOME_EXISTS' });
  });

  test('one folder for two homes', async () => {
    const other = await options({ auditHome: given.home, home: given.home });
    await expect(createConsortium(other)).rejects.toMatchObject({ code: 'USAGE' });
  });

  test.each([
    ['the name of the consortium', { consortium: 'North Sea' }, 'PKI_NAME_INVALID'],
    ['the name of the operator', { operator: 'Ada L.' }, 'PKI_NAME_INVALID'],
    ['the host', { host: 'agg_northsea' }, 'PKI_NAME_INVALID'],
    ['the passphrase', { passphrase: 'short' }, 'PKI_PASSPHRASE_WEAK'],
  ])('%s, and leaves nothing behind', async (_, change, code) => {
    const other = await options(change);
    await expect(createConsortium(other)).rejects.toMatchObject({ code });
    await expect(readdir(other.home)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(readdir(other.aggregatorHome)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

test.each([
  ['localhost', '127.0.0.1:7445'],
  ['2001:db8::1', '[2001:db8::1]:7445'],
])('listens for %s on %s', async (host, listen) => {
  const { auditConfig } = await createConsortium(await options({ host }));
  expect((await readAuditConfig(auditConfig)).listen).toBe(listen);
});
