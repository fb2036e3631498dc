import { copyFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ManualClock, silentLogger, systemClock, systemRng, writeDurably } from '@medley/kit';
import {
  createAuthority,
  createInvitation,
  createTlsKey,
  crossCertify,
  issueCertificate,
  leafOf,
  openAuthority,
  readAuthorities,
  readCertificate,
} from '@medley/pki';
import type { AdminMethods, Assignment__Output, Client, EnrolmentMethods } from '@medley/rpc';
import { collectEnrolment } from '../../silo-agent/src/enrolment/collect.ts';
import { finishRenewal, isPair, renewCertificate } from '../../silo-agent/src/enrolment/renewal.ts';
import { keepRenewed } from '../../silo-agent/src/enrolment/renewalLoop.ts';
import { requestEnrolment } from '../../silo-agent/src/enrolment/request.ts';
import { withConnection, openConnection } from '../../silo-agent/src/connection.ts';
import { configTemplate } from '../../silo-agent/src/config.ts';
import { openHome, type AgentHome } from '../../silo-agent/src/home.ts';
import { ensureKeys } from '../../silo-agent/src/keystore.ts';
import { Link } from '../../silo-agent/src/link.ts';
import { codeOf, TestConsortium } from '../support/aggregator.ts';

let consortium: TestConsortium;
let admin: Client<AdminMethods>;
let door: Client<EnrolmentMethods>;
let template: string;
let home: AgentHome;
const never = new AbortController().signal;
const NAME = 'alder';

beforeAll(async () => {
  consortium = await TestConsortium.create();
  admin = consortium.admin();
  door = consortium.enrolment();
  template = await mkdtemp(join(tmpdir(), 'medley-renewal-'));
  await writeFile(join(template, 'agent.yaml'), configTemplate(NAME, 'Alder'));
  await enrol(await openHome(template));
});
afterAll(async () => {
  admin.close();
  door.close();
  await consortium.remove();
  await rm(template, { recursive: true });
});
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'medley-renewal-'));
  await copyHome(template, folder);
  home = await openHome(folder);
  // Every test begins with the certificate of the enrolment and no renewal before it.
  const { certificates } = consortium.store.tables;
  for (const row of await certificates.of(NAME)) {
    const isOld = row.issuer === 'renewals';
    await certificates.put({ ...row, ...(isOld && { issuedMs: 0 }), untilMs: Date.now() + 1e8 });
  }
});

async function copyHome(from: string, to: string): Promise<void> {
  await ensureKeysOf(from, to);
  for (const name of await readdir(from)) {
    if (name !== 'keys') await copyFile(join(from, name), join(to, name));
  }
}

async function ensureKeysOf(from: string, to: string): Promise<void> {
  for (const name of ['tls.key.pem', 'identity.key.pem']) {
    const pem = await readFile(join(from, 'keys', name), 'utf8');
    await writeDurably(join(to, 'keys', name), pem, { mode: 0o600 });
  }
}

/** The agent's own enrolment, with the operator's part in the middle. */
async function enrol(of: AgentHome): Promise<void> {
  const keys = await ensureKeys(of.paths.keys);
  const { enrolmentAddress: enrolment, roundsAddress: rounds } = consortium.aggregator;
  const made = createInvitation({
    rng: systemRng,
    nowMs: Date.now(),
    ttlMs: 60_000,
    endpoints: { enrolment, rounds },
    consortium: 'test',
    silo: NAME,
    caPin: consortium.authority.caPin,
  });
  const secretHash = Buffer.from(made.secretHash, 'hex');
  const expiresMs = String(made.expiresAtMs);
  await admin.invite({ silo: NAME, invitationId: made.id, secretHash, expiresMs });
  const base = { home: of, keys, clock: systemClock, signal: never };
  const { record } = await requestEnrolment({ ...base, token: made.token });
  const { requestId, csrPem } = await admin.getEnrolment({ silo: NAME });
  await admin.approveSilo({ requestId, certificatePem: consortium.issueFor(NAME, csrPem) });
  await collectEnrolment({ ...base, record, wait: false, rng: systemRng });
}

const certPem = (): Promise<string> => readFile(home.paths.certificate, 'utf8');
const serial = async (): Promise<string> => readCertificate(leafOf(await certPem())).serial;

async function works(): Promise<string> {
  return codeOf(withConnection(home, systemClock, ({ client }) => client.listStudies({})));
}

describe('an agent that renews', () => {
  test('has a new key and certificate, and the aggregator honours them', async () => {
    const before = { serial: await serial(), key: await readFile(home.paths.tlsKey, 'utf8') };
    const renewed = await renewCertificate(home, systemClock, never);
    expect(await serial()).toBe(renewed.serial);
    expect(renewed.serial).not.toBe(before.serial);
    const key = await readFile(home.paths.tlsKey, 'utf8');
    expect(key).not.toBe(before.key);
    expect(isPair(await certPem(), key)).toBe(true);
    expect(await works()).toBe('none');
    expect((await readdir(home.paths.keys)).sort()).toEqual(['identity.key.pem', 'tls.key.pem']);
  });

  test('gets the very same certificate again when the answer was lost', async () => {
    await renewCertificate(home, systemClock, never);
    const [key, cert, first] = [home.paths.tlsKey, home.paths.certificate, await serial()];
    // As if it had been killed after the aggregator answered and before anything was written.
    await copyFile(key, home.paths.nextKey);
    await copyFile(join(template, 'keys/tls.key.pem'), key);
    await copyFile(join(template, 'tls.pem'), cert);
    expect((await renewCertificate(home, systemClock, never)).serial).toBe(first);
    expect(await works()).toBe('none');
  });

  test('ends in one state wherever its last step broke off', async () => {
    await renewCertificate(home, systemClock, never);
    const { tlsKey, nextKey, certificate, nextCertificate } = home.paths;
    const [newKey, newCert] = [await readFile(tlsKey, 'utf8'), await certPem()];
    const oldKey = await readFile(join(template, 'keys/tls.key.pem'), 'utf8');
    const oldCert = await readFile(join(template, 'tls.pem'), 'utf8');
    const states: readonly (readonly [string, string | undefined, string, string | undefined])[] = [
      [oldKey, newKey, oldCert, newCert],
      [newKey, undefined, oldCert, newCert],
      [newKey, undefined, newCert, undefined],
    ];
    for (const [key, next, cert, nextCert] of states) {
      await writeFile(tlsKey, key);
      await writeFile(certificate, cert);
      if (next !== undefined) await writeFile(nextKey, next, { mode: 0o600 });
      if (nextCert !== undefined) await writeFile(nextCertificate, nextCert);
      await finishRenewal(home.paths);
      expect(isPair(await certPem(), await readFile(tlsKey, 'utf8'))).toBe(true);
      expect(await certPem()).toBe(newCert);
    }
    // A certificate that belongs to no key here is dropped; the pair that works stays.
    await writeFile(nextCertificate, oldCert);
    await finishRenewal(home.paths);
    expect(await certPem()).toBe(newCert);
    expect(await readdir(join(home.paths.folder))).not.toContain('tls.next.pem');
  });

  test('keeps its stream without a gap and its calls on the connection they began on', async () => {
    const link = new Link((await openConnection(home, systemClock)).client);
    const request = { agentVersion: 'test', protocolVersion: 2 };
    const stop = new AbortController();
    const stream = link.attend(request)(stop.signal)[Symbol.asyncIterator]();
    // Checkpoints of the log come between.
    const heartbeat = async (): Promise<unknown> => {
      const { value } = (await stream.next()) as IteratorYieldResult<Assignment__Output>;
      return value.heartbeat ? value : heartbeat();
    };
    expect(await heartbeat()).toMatchObject({ heartbeat: {} });
    const attending = async (): Promise<boolean | undefined> =>
      (await admin.listSilos({})).silos.find((one) => one.silo === NAME)?.attending;
    const next = heartbeat();
    await renewCertificate(home, systemClock, never);
    link.swap((await openConnection(home, systemClock)).client);
    expect(await next).toMatchObject({ heartbeat: {} });
    expect(await attending()).toBe(true);
    expect(await codeOf(link.client.listStudies({}))).toBe('none');
    const rest = async (): Promise<void> => {
      while ((await stream.next()).done !== true);
    };
    const last = rest();
    stop.abort();
    expect(await codeOf(last)).toBe('INTERRUPTED');
    link.close();
  });

  test('renews by itself at two thirds of the life, and goes on trying while it cannot', async () => {
    const { notBeforeMs, notAfterMs } = readCertificate(leafOf(await certPem()));
    const clock = new ManualClock(notBeforeMs + (notAfterMs - notBeforeMs) / 3);
    const warnings: string[] = [];
    const logger = {
      ...silentLogger,
      warn: (_: string, fields?: { readonly code?: string }) =>
        void warnings.push(fields?.code ?? ''),
    };
    const stop = new AbortController();
    const before = await serial();
    let told: () => void = () => undefined;
    const renewed = new Promise<void>((resolve) => (told = resolve));
    await consortium.stop();
    const parts = { home, clock, rng: systemRng, logger };
    const loop = keepRenewed(parts, async () => told(), stop.signal);
    await tick(clock, () => warnings.length > 0);
    expect(warnings[0]).toBe('RPC_UNAVAILABLE');
    expect(clock.nowMs()).toBeGreaterThanOrEqual(
      notBeforeMs + (2 * (notAfterMs - notBeforeMs)) / 3,
    );
    expect(await serial()).toBe(before);
    admin.close();
    door.close();
    await consortium.start();
    admin = consortium.admin();
    door = consortium.enrolment();
    const { enrolmentAddress: enrolment, roundsAddress: rounds } = consortium.aggregator;
    Object.assign(home.config.network, { enrolment, rounds });
    let isRenewed = false;
    void renewed.then(() => (isRenewed = true));
    await tick(clock, () => isRenewed);
    stop.abort();
    await loop;
    expect(await serial()).not.toBe(before);
  });
});

/** Moves the clock on whenever somebody may be asleep, until `done`. */
async function tick(clock: ManualClock, done: () => boolean): Promise<void> {
  while (!done()) {
    clock.advance(600_000);
    await systemClock.sleep(2);
  }
}

describe('a new authority', () => {
  test('is trusted by the word of the pinned one, and of nobody else', async () => {
    const nowMs = Date.now();
    const make = { consortium: 'test', nowMs, rng: systemRng, keyBits: 2048 };
    const [next, stranger] = await Promise.all([createAuthority(make), createAuthority(make)]);
    const { authority } = consortium.authority;
    const cross = (by: typeof authority): string =>
      crossCertify({ authority: by, successorPem: next.certificatePem, nowMs, rng: systemRng });
    const caPem = consortium.authority.caPem + next.certificatePem;
    await consortium.stop();
    await consortium.start({ caPem, crossPem: cross(openAuthority(stranger)) });
    await pointHome();
    expect(await codeOf(renewCertificate(home, systemClock, never))).toBe('PKI_AUTHORITY_INVALID');
    const known = await readFile(home.paths.authority, 'utf8');
    expect(readAuthorities(known)).toHaveLength(1);
    await consortium.stop();
    await consortium.start({ caPem, crossPem: cross(authority) });
    await pointHome();
    await renewCertificate(home, systemClock, never);
    const both = await readFile(home.paths.authority, 'utf8');
    expect(readAuthorities(both).map(({ pem }) => pem)).toEqual(
      [consortium.authority.caPem, next.certificatePem].map((pem) => readAuthorities(pem)[0]!.pem),
    );
    // The server now shows a certificate of the new authority alone.
    const key = await createTlsKey(2048);
    const server = issueCertificate({
      authority: openAuthority(next),
      publicKeyPem: key.publicKeyPem,
      subject: { consortium: 'test', role: 'aggregator', name: 'aggregator' },
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      nowMs,
      days: 1,
      rng: systemRng,
    });
    await consortium.stop();
    await consortium.start({
      caPem,
      crossPem: cross(authority),
      tlsKeyPem: key.privateKeyPem,
      tlsChainPem: server.certificatePem + next.certificatePem,
    });
    await pointHome();
    expect(await works()).toBe('none');
  });
});

async function pointHome(): Promise<void> {
  const { enrolmentAddress: enrolment, roundsAddress: rounds } = consortium.aggregator;
  Object.assign(home.config.network, { enrolment, rounds });
}
