import { once } from 'node:events';
import { connect as tcpConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { MedleyError } from '@medley/kit';
import { createTestAuthority, type TestAuthority } from '../../../../tests/support/certificates.ts';
import { connect } from '../client.ts';
import { serve, startServer, type RunningServer, type ServerLimits } from '../server.ts';
import { Audit, type AuditMethods } from '../service.ts';
import type { Handlers } from '../context.ts';

let authority: TestAuthority;
let server: RunningServer;
const sockets: Socket[] = [];

const refuse = (): never => {
  throw new MedleyError('RPC_UNIMPLEMENTED', 'not part of this test');
};
const handlers: Handlers<AuditMethods> = {
  getCheckpoint: () => ({ note: 'served', treeSize: '1' }),
  listCheckpoints: refuse,
  listEntries: refuse,
  proveInclusion: refuse,
  proveConsistency: refuse,
};

beforeAll(async () => {
  authority = await createTestAuthority('test');
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close({ graceMs: 0 });
});

async function start(limits: Partial<ServerLimits>): Promise<void> {
  const { keyPem, chainPem: certChainPem } = authority.issue('audit', 'audit');
  const tls = { keyPem, certChainPem, caPem: authority.caPem, requireClientCertificate: false };
  const services = [serve(Audit, handlers)];
  server = await startServer({ address: '127.0.0.1:0', tls, services, limits });
}

/** A bare TCP connection; tells whether the server closed it. */
async function knock(): Promise<{ readonly socket: Socket; readonly closed: Promise<unknown> }> {
  const socket = tcpConnect(server.port, '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  return { socket, closed };
}

function client() {
  return connect({ service: Audit, address: server.address, tls: { caPem: authority.caPem } });
}

describe('connections', () => {
  test('beyond the limit of an address are closed, and the ones before go on', async () => {
    await start({ connectionsPerAddress: 2, handshakeMs: 60_000 });
    const honest = client();
    expect(await honest.getCheckpoint({})).toMatchObject({ note: 'served' });
    const second = await knock();
    const third = await knock();
    await third.closed;
    expect(await honest.getCheckpoint({})).toMatchObject({ note: 'served' });
    // Room again once one has gone.
    second.socket.destroy();
    await second.closed;
    const other = client();
    await expect(other.getCheckpoint({}, { timeoutMs: 10_000 })).resolves.toBeDefined();
    honest.close();
    other.close();
  });

  test('that never finish TLS are closed in time; that finish it stay', async () => {
    await start({ handshakeMs: 300 });
    const tls = tlsConnect({
      ...{ host: '127.0.0.1', port: server.port, ALPNProtocols: ['h2'] },
      ...{ ca: authority.caPem, rejectUnauthorized: false },
    });
    sockets.push(tls);
    await once(tls, 'secureConnect');
    const silent = await knock();
    const garbled = await knock();
    garbled.socket.write(Buffer.alloc(4096, 0x16));
    await Promise.all([silent.closed, garbled.closed]);
    expect(tls.destroyed).toBe(false);
    const honest = client();
    expect(await honest.getCheckpoint({})).toMatchObject({ note: 'served' });
    honest.close();
  });

  test('that flood with calls get RPC_BUSY, said in the words of the catalogue', async () => {
    await start({ callsPerSecond: 5 });
    const greedy = client();
    const calls = Array.from({ length: 20 }, () => greedy.getCheckpoint({}));
    const results = await Promise.allSettled(calls);
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(10);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'RPC_BUSY' });
    expect(results.length - refused.length).toBeGreaterThanOrEqual(5);
    greedy.close();
  });
});
