import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createTestAuthority, type TestAuthority } from '../../../tests/support/certificates.ts';
import { fetchAuthority } from './pin.ts';
import { startServer, type RunningServer } from './server.ts';

let ours: TestAuthority;
let theirs: TestAuthority;
const open: RunningServer[] = [];

beforeAll(async () => {
  [ours, theirs] = await Promise.all([createTestAuthority('ours'), createTestAuthority('theirs')]);
});

afterAll(async () => {
  for (const server of open) await server.close();
});

async function listen(certChainPem: string, keyPem: string): Promise<string> {
  const tls = { keyPem, certChainPem, caPem: ours.caPem, requireClientCertificate: false };
  const server = await startServer({ address: '127.0.0.1:0', tls, services: [] });
  open.push(server);
  return server.address;
}

describe('first contact', () => {
  test('learns the pinned authority from the chain', async () => {
    const own = ours.issue('aggregator', 'hub');
    const address = await listen(own.chainPem, own.keyPem);
    expect(await fetchAuthority({ address, pin: ours.caPin })).toBe(ours.caPem);
  });

  test('names the issuer of another chain, such as a proxy that decrypts TLS', async () => {
    const own = theirs.issue('aggregator', 'hub');
    const address = await listen(own.chainPem, own.keyPem);
    await expect(fetchAuthority({ address, pin: ours.caPin })).rejects.toMatchObject({
      code: 'RPC_PIN_MISMATCH',
      message: expect.stringContaining('"theirs authority"'),
    });
  });

  test('a pinned root shown beside a foreign leaf is not enough', async () => {
    const own = theirs.issue('aggregator', 'hub');
    const address = await listen(own.certPem + ours.caPem, own.keyPem);
    await expect(fetchAuthority({ address, pin: ours.caPin })).rejects.toMatchObject({
      code: expect.stringMatching(/^RPC_(PIN_MISMATCH|TLS_REFUSED)$/),
    });
  });

  test('an expired leaf under the pinned root is refused', async () => {
    const own = ours.issue('aggregator', 'hub', { nowMs: Date.now() - 2 * 86_400_000 });
    const address = await listen(own.chainPem, own.keyPem);
    await expect(fetchAuthority({ address, pin: ours.caPin })).rejects.toMatchObject({
      code: 'RPC_TLS_REFUSED',
    });
  });

  test('nobody there, and a cancelled try, are told apart', async () => {
    const own = ours.issue('aggregator', 'hub');
    const address = await listen(own.chainPem, own.keyPem);
    await expect(
      fetchAuthority({ address, pin: ours.caPin, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    await open.pop()?.close();
    await expect(fetchAuthority({ address, pin: ours.caPin })).rejects.toMatchObject({
      code: 'RPC_UNAVAILABLE',
    });
  });
});
