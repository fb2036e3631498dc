import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { equalBytes, MedleyError, sha256 } from '@medley/kit';
import {
  createTestAuthority,
  type Credentials,
  type TestAuthority,
} from '../../../tests/support/certificates.ts';
import { collectChunks, toChunks } from './chunk.ts';
import { connect, type Client } from './client.ts';
import type { CallContext, Handlers } from './context.ts';
import { requireRole } from './peer.ts';
import { serve, startServer, type RunningServer } from './server.ts';
import { Audit, Rounds, type RoundsMethods } from './service.ts';

const DAY_MS = 86_400_000;
const blob = Uint8Array.from({ length: 5 * 1024 * 1024 }, (_, i) => (i * 31) % 256);
const key = { study: 's', round: 1, attempt: 1 };

let ours: TestAuthority;
let theirs: TestAuthority;
let server: RunningServer;
let silo: Credentials;
/** What the handlers under test saw. */
const seen: { peer?: CallContext['peer']; received?: Uint8Array; ended?: unknown } = {};
let onEnd: () => void = () => undefined;
let onShare: () => void = () => undefined;

const refuse = (): never => {
  throw new MedleyError('RPC_UNIMPLEMENTED', 'not part of this test');
};

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}

const handlers: Handlers<RoundsMethods> = {
  attend: async function* (_request, { signal }) {
    yield { heartbeat: { nowMs: '1', leaseMs: 5 } };
    await ended(signal);
    seen.ended = signal.reason;
    onEnd();
    signal.throwIfAborted();
  },
  listStudies: (_request, context) => {
    seen.peer = requireRole(context, 'silo');
    return { studies: [] };
  },
  getStudy: ({ study }) => {
    if (study === 'broken') throw new TypeError('x is undefined at /srv/secret.js');
    throw new MedleyError('CHARTER_EXPIRED', `study ${study} ended`);
  },
  fetchBlob: async function* ({ offset }) {
    yield* toChunks(blob, Number(offset));
  },
  submit: async (requests) => {
    const parts = requests[Symbol.asyncIterator]();
    const first = await parts.next();
    const header = first.done === true ? undefined : first.value.header;
    if (!header) throw new MedleyError('RPC_MESSAGE_INVALID', 'no header');
    async function* chunks() {
      for (;;) {
        const next = await parts.next();
        if (next.done === true) return;
        if (!next.value.chunk) throw new MedleyError('RPC_MESSAGE_INVALID', 'no chunk');
        yield next.value.chunk;
      }
    }
    const hash = header.header?.vectorHash ?? new Uint8Array();
    seen.received = await collectChunks(chunks(), {
      sha256: hash,
      sizeBytes: Number(header.sizeBytes),
      limit: blob.length,
    });
    return { repeatedMessage: true };
  },
  share: async (_request, { signal }) => {
    onShare();
    await ended(signal);
    seen.ended = signal.reason;
    onEnd();
    return {};
  },
  advertise: () => ({}),
  confirm: refuse,
  release: refuse,
  withdraw: refuse,
  proveLog: refuse,
  cosignCheckpoint: refuse,
  complain: refuse,
  leaveStudy: refuse,
  signCharter: refuse,
  refuseCharter: refuse,
};

beforeAll(async () => {
  [ours, theirs] = await Promise.all([createTestAuthority('ours'), createTestAuthority('theirs')]);
  silo = ours.issue('silo', 'north');
  server = await start();
});

afterAll(() => server.close());

function start(): Promise<RunningServer> {
  const own = ours.issue('aggregator', 'hub');
  return startServer({
    address: '127.0.0.1:0',
    tls: {
      keyPem: own.keyPem,
      certChainPem: own.chainPem,
      caPem: ours.caPem,
      requireClientCertificate: true,
    },
    services: [serve(Rounds, handlers)],
    authorise: ({ metadata, method }) => {
      if (metadata.get('revoked').length > 0) throw new MedleyError('RPC_FORBIDDEN', method);
    },
  });
}

function dial(
  credentials: Credentials | undefined,
  address = server.address,
): Client<RoundsMethods> {
  const own = credentials ? { certPem: credentials.certPem, keyPem: credentials.keyPem } : {};
  return connect({
    service: Rounds,
    address,
    tls: { caPem: ours.caPem, serverRole: 'aggregator', ...own },
  });
}

async function withClient<T>(
  credentials: Credentials | undefined,
  use: (client: Client<RoundsMethods>) => Promise<T>,
): Promise<T> {
  const client = dial(credentials);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

describe('identity', () => {
  test('the handler sees who called, from the certificate', async () => {
    await withClient(silo, (client) => client.listStudies({}));
    expect(seen.peer).toEqual({
      role: 'silo',
      name: 'north',
      consortium: 'ours',
      serial: silo.serial,
    });
  });

  test('another role may not make the call', async () => {
    const call = withClient(ours.issue('operator', 'ann'), (client) => client.listStudies({}));
    await expect(call).rejects.toMatchObject({ code: 'RPC_FORBIDDEN' });
  });

  test.each([
    ['no certificate', () => undefined],
    ["another consortium's certificate", () => theirs.issue('silo', 'north')],
    [
      'an expired certificate',
      () => ours.issue('silo', 'north', { nowMs: Date.now() - 2 * DAY_MS }),
    ],
  ])('a caller with %s gets no connection', async (_what, credentials) => {
    const call = withClient(credentials(), (client) => client.listStudies({}));
    await expect(call).rejects.toMatchObject({
      code: expect.stringMatching(/^RPC_(TLS_REFUSED|UNAVAILABLE)$/),
    });
  });

  test('the client refuses servers of another consortium, host name or role', async () => {
    const own = { certPem: silo.certPem, keyPem: silo.keyPem };
    const tries = [
      { ...own, caPem: theirs.caPem },
      { ...own, caPem: ours.caPem, serverName: 'elsewhere.example' },
      { ...own, caPem: ours.caPem, serverRole: 'audit' as const },
    ];
    for (const tls of tries) {
      const client = connect({ service: Rounds, address: server.address, tls });
      await expect(client.listStudies({})).rejects.toMatchObject({ code: 'RPC_TLS_REFUSED' });
      client.close();
    }
  });

  test('TLS 1.2 is refused though the process would allow it', async () => {
    const failure = await new Promise<Error>((resolve, reject) => {
      const socket = tlsConnect({
        port: server.port,
        host: '127.0.0.1',
        maxVersion: 'TLSv1.2',
        minVersion: 'TLSv1.2',
        ca: ours.caPem,
        cert: silo.certPem,
        key: silo.keyPem,
      });
      socket.once('secureConnect', () => reject(new Error('connected')));
      socket.once('error', resolve);
    });
    expect(failure.message).toMatch(/protocol version/);
  });

  test('an unusable key is named at the start, not at the first call', async () => {
    const own = ours.issue('aggregator', 'hub');
    const tls = {
      keyPem: 'nonsense',
      certChainPem: own.chainPem,
      caPem: ours.caPem,
      requireClientCertificate: true,
    };
    await expect(startServer({ address: '127.0.0.1:0', tls, services: [] })).rejects.toMatchObject({
      code: 'RPC_TLS_REFUSED',
    });
  });
});

describe('calls', () => {
  test("a refusal arrives with the peer's code and detail", async () => {
    const call = withClient(silo, (client) => client.getStudy({ study: 'breast' }));
    await expect(call).rejects.toMatchObject({
      code: 'CHARTER_EXPIRED',
      message: 'study breast ended',
    });
  });

  test('an unforeseen failure arrives as INTERNAL without detail', async () => {
    const call = withClient(silo, (client) => client.getStudy({ study: 'broken' }));
    await expect(call).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.not.stringContaining('secret'),
    });
  });

  test('5 MiB travel in pieces both ways, and from an offset', async () => {
    await withClient(silo, async (client) => {
      const announced = { sha256: sha256(blob), sizeBytes: blob.length, limit: blob.length };
      expect(equalBytes(await collectChunks(client.fetchBlob({}), announced), blob)).toBe(true);
      const rest = blob.subarray(4 * 1024 * 1024);
      const offsets: string[] = [];
      for await (const chunk of client.fetchBlob({ offset: '4194304' })) {
        offsets.push(chunk.offset);
        expect(chunk.data.equals(rest)).toBe(true);
      }
      expect(offsets).toEqual(['4194304']);
      async function* requests() {
        yield {
          header: { key, header: { silo: 1, vectorHash: sha256(blob) }, sizeBytes: blob.length },
        };
        for (const chunk of toChunks(blob)) yield { chunk };
      }
      expect(await client.submit(requests())).toEqual({ repeatedMessage: true });
      expect(equalBytes(seen.received ?? new Uint8Array(), blob)).toBe(true);
    });
  });

  test('a refusal in the middle of an upload ends the upload', async () => {
    function* endless() {
      for (;;) yield { chunk: { offset: '0', data: blob.subarray(0, 1024) } };
    }
    const call = withClient(silo, (client) => client.submit(endless()));
    await expect(call).rejects.toMatchObject({ code: 'RPC_MESSAGE_INVALID', message: 'no header' });
  });

  test('an error of the source of an upload is the error of the call', async () => {
    // eslint-disable-next-line require-yield
    function* broken(): Generator<never> {
      throw new MedleyError('FILE_UNREADABLE', 'vector.bin');
    }
    const call = withClient(silo, (client) => client.submit(broken()));
    await expect(call).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  test('a message above 4 MiB is refused by its sender or its receiver', async () => {
    const advert = { silo: 1, channelKey: blob };
    const call = withClient(silo, (client) => client.advertise({ key, advert }));
    await expect(call).rejects.toMatchObject({ code: 'RPC_MESSAGE_TOO_LARGE' });
  });

  test('cancelling reaches the handler of a unary call', async () => {
    const cancel = new AbortController();
    const entered = new Promise<void>((resolve) => (onShare = resolve));
    const over = new Promise<void>((resolve) => (onEnd = resolve));
    const options = { signal: cancel.signal };
    await withClient(silo, async (client) => {
      const call = client.share({ key }, options);
      await entered;
      cancel.abort(new MedleyError('INTERRUPTED', 'enough'));
      await expect(call).rejects.toMatchObject({ code: 'INTERRUPTED', message: 'enough' });
      await over;
      await expect(client.advertise({ key }, options)).rejects.toMatchObject({ message: 'enough' });
    });
  });

  test('leaving a stream early reaches its handler', async () => {
    const over = new Promise<void>((resolve) => (onEnd = resolve));
    await withClient(silo, async (client) => {
      for await (const assignment of client.attend({})) {
        expect(assignment).toMatchObject({
          body: 'heartbeat',
          heartbeat: { nowMs: '1', leaseMs: 5 },
        });
        break;
      }
      await over;
      expect(seen.ended).toMatchObject({ code: 'INTERRUPTED' });
    });
  });

  test('a deadline ends the call on both sides', async () => {
    const over = new Promise<void>((resolve) => (onEnd = resolve));
    await withClient(silo, async (client) => {
      await client.advertise({ key });
      await expect(client.share({ key }, { timeoutMs: 200 })).rejects.toMatchObject({
        code: 'RPC_DEADLINE',
      });
      await over;
    });
  });

  test('a service that the listener does not serve is named as such', async () => {
    const client = connect({
      service: Audit,
      address: server.address,
      tls: { caPem: ours.caPem, certPem: silo.certPem, keyPem: silo.keyPem },
    });
    await expect(client.getCheckpoint({})).rejects.toMatchObject({ code: 'RPC_UNIMPLEMENTED' });
    client.close();
  });

  test('an address where nobody listens is named', async () => {
    const gone = await start();
    await gone.close();
    const client = dial(silo, gone.address);
    await expect(client.listStudies({})).rejects.toMatchObject({
      code: 'RPC_UNAVAILABLE',
      message: expect.stringContaining(gone.address),
    });
    client.close();
  });
});

describe('closing', () => {
  test('ends open streams at once and says why', async () => {
    const own = await start();
    const client = dial(silo, own.address);
    const stream = client.attend({})[Symbol.asyncIterator]();
    await stream.next();
    const closed = own.close({ graceMs: 10_000 });
    await expect(stream.next()).rejects.toMatchObject({
      code: 'RPC_UNAVAILABLE',
      message: 'the server is closing',
    });
    client.close();
    await closed;
  });

  test('breaks calls that outlast the grace', async () => {
    const own = await start();
    const client = dial(silo, own.address);
    await client.advertise({ key });
    const call = client.share({ key });
    const failed = expect(call).rejects.toMatchObject({
      code: expect.stringMatching(/^RPC_|^INTERRUPTED$/),
    });
    await own.close({ graceMs: 50 });
    await failed;
    client.close();
  });

  test('two servers cannot share a port', async () => {
    const own = ours.issue('aggregator', 'hub');
    const tls = {
      keyPem: own.keyPem,
      certChainPem: own.chainPem,
      caPem: ours.caPem,
      requireClientCertificate: false,
    };
    await expect(startServer({ address: server.address, tls, services: [] })).rejects.toMatchObject(
      {
        code: 'RPC_LISTEN_FAILED',
      },
    );
  });
});
