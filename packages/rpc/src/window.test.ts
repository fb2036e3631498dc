import { connect, type Settings } from 'node:http2';
import { expect, test } from '@jest/globals';
import { createTestAuthority } from '../../../tests/support/certificates.ts';
import { CHUNK_BYTES } from './chunk.ts';
import { startServer } from './server.ts';

test('an upload may be a whole piece ahead of what the server has acknowledged', async () => {
  const authority = await createTestAuthority('ours');
  const { keyPem, chainPem } = authority.issue('aggregator', 'hub');
  const { caPem } = authority;
  const server = await startServer({
    address: '127.0.0.1:0',
    tls: { keyPem, certChainPem: chainPem, caPem, requireClientCertificate: false },
    services: [],
  });
  const session = connect(`https://127.0.0.1:${String(server.port)}`, { ca: caPem });
  try {
    const settings = await new Promise<Settings>((resolve, reject) => {
      session.once('remoteSettings', resolve);
      session.once('error', reject);
    });
    // The answer to a ping comes behind the settings and the connection's window.
    await new Promise((resolve) => session.ping(resolve));
    expect(settings.initialWindowSize).toBe(CHUNK_BYTES);
    expect(session.state.remoteWindowSize).toBeGreaterThanOrEqual(CHUNK_BYTES);
  } finally {
    session.destroy();
    await server.close();
  }
});
