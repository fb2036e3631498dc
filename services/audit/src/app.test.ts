import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, type Logger } from '@medley/kit';
import { leafHash, openCheckpoint, verifierKeyOf, verifyInclusion } from '@medley/merkle';
import { Audit, connect, type AuditMethods, type Client, type RunningServer } from '@medley/rpc';
import {
  createTestAuthority,
  type Credentials,
  type TestAuthority,
} from '../../../tests/support/certificates.ts';
import { createLogFile, testLeaves, type LogFile } from '../../../tests/support/log.ts';
import { createAuditService, publicAddress } from './app.ts';
import type { AuditConfig } from './config.ts';
import { openLogStore } from './store/sqlite.ts';
import type { LogStore } from './store/store.ts';

const CONFIG: AuditConfig = {
  apiVersion: 'medley/v1',
  kind: 'Audit',
  database: 'medley.db',
  listen: '127.0.0.1:0',
  publicHost: '127.0.0.1',
  endpointsFile: 'endpoints.json',
  tls: { key: 'tls.key.pem', certificate: 'tls.pem', ca: 'ca.pem' },
  logLevel: 'silent',
};
/** More than two batches, so that streams go on after the first. */
const SIGNED = 600;
const leaves = testLeaves(SIGNED + 3);

let ours: TestAuthority;
let log: LogFile;
let store: LogStore;
let server: RunningServer;
const clients: Client<AuditMethods>[] = [];

beforeAll(async () => {
  [ours, log] = await Promise.all([createTestAuthority('ours'), createLogFile()]);
  await log.append(...leaves.slice(0, 200));
  await log.checkpoint();
  await log.append(...leaves.slice(200, SIGNED));
  await log.checkpoint();
  await log.append(...leaves.slice(SIGNED));
  store = await openLogStore(log.file);
  server = await serve(silentLogger);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await server.close({ graceMs: 100 });
  store.close();
  log.close();
});

async function serve(logger: Logger, over = store): Promise<RunningServer> {
  const own = ours.issue('audit', 'audit');
  const tls = {
    keyPem: own.keyPem,
    certChainPem: own.chainPem,
    caPem: ours.caPem,
    requireClientCertificate: true,
  };
  return createAuditService({ config: CONFIG, tls, store: over, logger });
}

function dial(who: Credentials | undefined): Client<AuditMethods> {
  const tls = {
    caPem: ours.caPem,
    serverRole: 'audit' as const,
    ...(who && { certPem: who.certPem, keyPem: who.keyPem }),
  };
  const client = connect({ service: Audit, address: server.address, tls });
  clients.push(client);
  return client;
}

const operator = (): Client<AuditMethods> => dial(ours.issue('operator', 'ada'));

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe('an operator', () => {
  test('reads every checkpoint in order and the newest', async () => {
    const found = await all(operator().listCheckpoints({}));
    expect(found.map(({ treeSize }) => treeSize)).toEqual(['200', '600']);
    const newest = await operator().getCheckpoint({});
    expect(newest).toEqual(found[1]);
    expect(openCheckpoint(newest.note, [verifierKeyOf('log', log.key)]).size).toBe(SIGNED);
  });

  test('reads all that is signed and nothing beyond', async () => {
    const entries = await all(operator().listEntries({ from: '0', to: '0' }));
    expect(entries.map(({ leaf }) => new Uint8Array(leaf))).toEqual(leaves.slice(0, SIGNED));
    expect(entries.map(({ index }) => Number(index))).toEqual(entries.map((_, i) => i));
  });

  test('reads a range', async () => {
    const entries = await all(operator().listEntries({ from: '250', to: '520' }));
    expect(entries).toHaveLength(270);
    expect(entries[0]?.index).toBe('250');
  });

  test.each([
    ['beyond the newest checkpoint', '0', '601'],
    ['backwards', '5', '4'],
    ['from beyond the log', '601', '0'],
    ['beyond 2^53', '0', '18446744073709551615'],
  ])('is refused a range %s', async (_, from, to) => {
    await expect(all(operator().listEntries({ from, to }))).rejects.toMatchObject({
      code: 'AUDIT_RANGE',
    });
  });

  test('gets proofs that hold against a signed root', async () => {
    const { note } = await operator().getCheckpoint({});
    const { root } = openCheckpoint(note, [verifierKeyOf('log', log.key)]);
    const { hashes } = await operator().proveInclusion({ index: '77', treeSize: '600' });
    const proof = hashes.map((hash) => new Uint8Array(hash));
    verifyInclusion({ leafHash: leafHash(leaves[77]!), index: 77, size: SIGNED, root, proof });
    const between = await operator().proveConsistency({ fromSize: '200', toSize: '600' });
    expect(between.hashes.length).toBeGreaterThan(0);
  });

  test('gets no proof about entries that are not signed yet', async () => {
    const call = operator().proveInclusion({ index: '601', treeSize: '603' });
    await expect(call).rejects.toMatchObject({ code: 'AUDIT_RANGE' });
  });
});

describe('other callers', () => {
  test('a silo reads while its certificate is in force', async () => {
    const silo = ours.issue('silo', 'charite');
    await log.silo('charite', silo.serial, 'enrolled');
    expect((await dial(silo).getCheckpoint({})).treeSize).toBe('600');
  });

  test('a revoked silo is refused, streams included', async () => {
    const silo = ours.issue('silo', 'vienna');
    await log.silo('vienna', silo.serial, 'revoked');
    const refused = { code: 'RPC_FORBIDDEN' };
    await expect(dial(silo).getCheckpoint({})).rejects.toMatchObject(refused);
    await expect(all(dial(silo).listEntries({ from: '0', to: '0' }))).rejects.toMatchObject(
      refused,
    );
  });

  test('a silo with an older certificate of its own is refused', async () => {
    const [old, now] = [ours.issue('silo', 'sloterdijk'), ours.issue('silo', 'sloterdijk')];
    await log.silo('sloterdijk', now.serial, 'enrolled');
    await expect(dial(old).getCheckpoint({})).rejects.toMatchObject({ code: 'RPC_FORBIDDEN' });
  });

  test('a silo that the aggregator never heard of is refused', async () => {
    const call = dial(ours.issue('silo', 'nobody')).getCheckpoint({});
    await expect(call).rejects.toMatchObject({ code: 'RPC_FORBIDDEN' });
  });

  test('a certificate of another consortium is refused in the handshake', async () => {
    const theirs = await createTestAuthority('theirs');
    const call = dial(theirs.issue('operator', 'ada')).getCheckpoint({});
    await expect(call).rejects.toMatchObject({
      code: expect.stringMatching(/^RPC_(TLS_REFUSED|UNAVAILABLE)$/),
    });
  });

  test('nobody reads without a certificate', async () => {
    await expect(dial(undefined).getCheckpoint({})).rejects.toMatchObject({
      code: expect.stringMatching(/^RPC_(TLS_REFUSED|UNAVAILABLE)$/),
    });
  });
});

describe('the service', () => {
  test('names the host that readers dial, with the port that was bound', () => {
    const config = { ...CONFIG, publicHost: 'audit.example.org' };
    expect(publicAddress(config, server)).toBe(`audit.example.org:${server.port}`);
  });

  test('has no checkpoint to give before the first', async () => {
    const empty = await createLogFile();
    const reader = await openLogStore(empty.file);
    const lines: string[] = [];
    const logger = { ...silentLogger, info: (message: string) => void lines.push(message) };
    const own = await serve(logger, reader);
    const who = ours.issue('operator', 'ada');
    const tls = { caPem: ours.caPem, certPem: who.certPem, keyPem: who.keyPem };
    const client = connect({ service: Audit, address: own.address, tls });
    await expect(client.getCheckpoint({})).rejects.toMatchObject({ code: 'AUDIT_RANGE' });
    expect(await all(client.listCheckpoints({}))).toEqual([]);
    expect(await all(client.listEntries({ from: '0', to: '0' }))).toEqual([]);
    expect(lines).toContain('the log holds');
    client.close();
    await own.close({ graceMs: 100 });
    reader.close();
    empty.close();
  });

  test('says at its start that a log does not hold, and serves the evidence', async () => {
    const rewritten = await createLogFile();
    await rewritten.append(...leaves.slice(0, 3));
    await rewritten.checkpoint();
    await rewritten.execute('DROP TRIGGER log_entry_no_update');
    await rewritten.execute("UPDATE log_entry SET leaf = x'00' WHERE idx = 1");
    const reader = await openLogStore(rewritten.file);
    const codes: (string | undefined)[] = [];
    const logger: Logger = {
      ...silentLogger,
      error: (_, fields) => void codes.push(fields?.code),
    };
    const own = await serve(logger, reader);
    expect(codes).toEqual(['AUDIT_FAILED']);
    await own.close({ graceMs: 100 });
    reader.close();
    rewritten.close();
  });
});
