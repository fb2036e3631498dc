import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { seededRng } from '@medley/kit';
import { createAuthority, issueCertificate, openAuthority, type Authority } from './ca.ts';
import { createTlsKey, type KeyPair } from './key.ts';
import type { Role } from './name.ts';
import { buildCrl } from './revocation.ts';

// The one place that needs the real time: OpenSSL compares certificates with it.
const NOW = Date.now();
const DAY = 86_400_000;
const rng = seededRng('handshake');
let authority: Authority;
let stranger: Authority;
let pair: KeyPair;

beforeAll(async () => {
  const make = { consortium: 'heart', nowMs: NOW, keyBits: 2048, rng };
  authority = openAuthority(await createAuthority(make));
  stranger = openAuthority(await createAuthority(make));
  pair = await createTlsKey(2048);
});

interface Party extends SecureContextOptions {
  readonly serial: string;
}

function party(
  role: Role,
  options: { readonly by?: Authority; readonly nowMs?: number } = {},
): Party {
  const issued = issueCertificate({
    authority: options.by ?? authority,
    publicKeyPem: pair.publicKeyPem,
    subject: { consortium: 'heart', role, name: 'st-anna' },
    ...(role === 'aggregator' ? { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] } : {}),
    nowMs: options.nowMs ?? NOW,
    days: 1,
    rng,
  });
  return { cert: issued.certificatePem, key: pair.privateKeyPem, serial: issued.serial };
}

interface Outcome {
  /** Application data came through, which is when a TLS 1.3 client knows that it was accepted. */
  readonly accepted: boolean;
  readonly protocol?: string | null;
  readonly clientSays?: string | undefined;
  /** Why the server did not believe the client, in OpenSSL's word; null when it did. */
  readonly serverSays: string | null | undefined;
}

async function handshake(
  server: SecureContextOptions,
  client: SecureContextOptions,
  host = 'localhost',
): Promise<Outcome> {
  const ca = authority.certificatePem;
  const listener = createServer({
    ca,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
    ...server,
  });
  const serverSide = new Promise<string | null | undefined>((resolve) => {
    listener.on('secureConnection', (socket) => {
      // A client that leaves without reading resets the connection.
      socket.on('error', () => undefined).end('welcome');
      resolve(null);
    });
    listener.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      // Typed as an Error, filled with OpenSSL's word.
      resolve((socket.authorizationError as unknown as string | null) ?? error.code);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ ca, host: '127.0.0.1', port, servername: host, ...client });
  const clientSide = new Promise<Omit<Outcome, 'serverSays'>>((resolve) => {
    socket.once('data', () => resolve({ accepted: true, protocol: socket.getProtocol() }));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ accepted: false, clientSays: error.code });
    });
    socket.once('close', () => resolve({ accepted: false }));
  });
  try {
    return { ...(await clientSide), serverSays: await serverSide };
  } finally {
    socket.destroy();
    listener.close();
    await once(listener, 'close');
  }
}

describe('TLS between the parties', () => {
  test('accepts certificates of the consortium, with TLS 1.3', async () => {
    expect(await handshake(party('aggregator'), party('silo'))).toEqual({
      accepted: true,
      protocol: 'TLSv1.3',
      serverSays: null,
    });
    expect((await handshake(party('aggregator'), party('operator'))).accepted).toBe(true);
  });

  test('refuses TLS 1.2', async () => {
    const outcome = await handshake(party('aggregator'), {
      ...party('silo'),
      maxVersion: 'TLSv1.2',
    });
    expect(outcome).toMatchObject({
      accepted: false,
      serverSays: 'ERR_SSL_UNSUPPORTED_PROTOCOL',
    });
  });

  test('the silo refuses a server of another authority with the same name', async () => {
    const outcome = await handshake(party('aggregator', { by: stranger }), party('silo'));
    expect(outcome).toMatchObject({
      accepted: false,
      clientSays: expect.stringMatching(/SIGNATURE|ISSUER|VERIFY/),
    });
  });

  test('the silo refuses an expired server', async () => {
    const outcome = await handshake(party('aggregator', { nowMs: NOW - 3 * DAY }), party('silo'));
    expect(outcome).toMatchObject({ accepted: false, clientSays: 'CERT_HAS_EXPIRED' });
  });

  test('the silo refuses another silo that plays the server', async () => {
    const outcome = await handshake(party('silo'), party('silo'));
    expect(outcome).toMatchObject({ accepted: false, clientSays: 'INVALID_PURPOSE' });
  });

  test('the silo refuses a server of another host name', async () => {
    const outcome = await handshake(party('aggregator'), party('silo'), 'other.example');
    expect(outcome).toMatchObject({ accepted: false, clientSays: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  test.each<[string, () => SecureContextOptions, string]>([
    ['without a certificate', () => ({}), 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
    [
      'of another authority with the same name',
      () => party('silo', { by: stranger }),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    ['that has expired', () => party('silo', { nowMs: NOW - 3 * DAY }), 'CERT_HAS_EXPIRED'],
    ['that is early', () => party('silo', { nowMs: NOW + 3 * DAY }), 'CERT_NOT_YET_VALID'],
    ['that is a server', () => party('aggregator'), 'INVALID_PURPOSE'],
  ])('the server refuses a client %s', async (_, make, serverSays) => {
    const outcome = await handshake(party('aggregator'), make());
    expect(outcome).toMatchObject({ accepted: false, serverSays });
  });

  test('OpenSSL reads our revocation list and refuses whom it names, only them', async () => {
    const [good, bad] = [party('silo'), party('silo')];
    const crl = buildCrl({
      authority,
      revoked: [{ serial: bad.serial, atMs: NOW - 1000, reason: 'keyCompromise' }],
      nowMs: NOW - 1000,
      nextUpdateMs: NOW + DAY,
      number: 7,
    });
    const server = { ...party('aggregator'), crl };
    expect((await handshake(server, good)).accepted).toBe(true);
    const outcome = await handshake(server, bad);
    expect(outcome).toMatchObject({ accepted: false, serverSays: 'CERT_REVOKED' });
    const empty = buildCrl({
      authority,
      revoked: [],
      nowMs: NOW,
      nextUpdateMs: NOW + DAY,
      number: 8,
    });
    expect((await handshake({ ...server, crl: empty }, bad)).accepted).toBe(true);
  });
});
