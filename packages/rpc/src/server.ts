import type { Http2Server } from 'node:http2';
import {
  logVerbosity,
  Server,
  setLogVerbosity,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { MedleyError, silentLogger, type Logger } from '@medley/kit';
import { formatAddress, parseAddress } from './address.ts';
import { CHUNK_BYTES } from './chunk.ts';
import type { Handlers } from './context.ts';
import { serverCredentials, type ServerTls } from './credentials.ts';
import { serveClientStream, serveServerStream, serveUnary, type CallRules } from './call.ts';
import { rememberedPeers } from './peer.ts';
import type { MethodMap, Service } from './service.ts';

/** A service and its handlers, for {@link startServer}; made by {@link serve}. */
export interface Served {
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, unknown>>;
}

/** Largest message either side takes; a piece of 1 MiB and its frame fit four times over. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

export interface ServerLimits {
  /** Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Silence on a connection after which it is probed, in milliseconds; default 20 000. */
  readonly keepaliveMs?: number;
}

export interface ServerOptions {
  /** `host:port` to listen on; port 0 takes any free one. */
  readonly address: string;
  readonly tls: ServerTls;
  readonly services: readonly Served[];
  readonly limits?: ServerLimits;
  /** Runs before every handler; throws to refuse the call (role, revocation); may say who calls and until when. */
  readonly authorise?: CallRules['authorise'];
  /** Told of every refused or failed call. */
  readonly logger?: Logger;
}

export interface RunningServer {
  /** `host:port` with the port that was bound. */
  readonly address: string;
  readonly port: number;
  /**
   * Takes no new calls, ends server streams, lets other calls finish for `graceMs` (default 2000),
   * then breaks what is left.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Pairs a service with its handlers; the compiler checks that none is missing. */
export function serve<Methods extends MethodMap>(
  service: Service<Methods>,
  handlers: Handlers<Methods>,
): Served {
  return { name: service.name, definition: service.definition(), handlers };
}

/**
 * Starts a gRPC server over TLS 1.3. Throws RPC_ADDRESS_INVALID, RPC_TLS_REFUSED (unusable key or
 * certificate) and RPC_LISTEN_FAILED.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port } = parseAddress(options.address);
  const credentials = serverCredentials(options.tls);
  const limits = options.limits ?? {};
  const keepaliveMs = limits.keepaliveMs ?? 20_000;
  const server = new Server({
    'grpc.max_receive_message_length': limits.maxMessageBytes ?? MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': limits.maxMessageBytes ?? MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': Math.min(keepaliveMs, 10_000),
  });
  // grpc-js would write failures to the console that are thrown or logged here anyway.
  setLogVerbosity(logVerbosity.NONE);
  const closing = new AbortController();
  const rules: CallRules = {
    closing: closing.signal,
    logger: options.logger ?? silentLogger,
    peerOf: rememberedPeers(),
    authorise: options.authorise ?? (() => undefined),
  };
  for (const served of options.services) {
    server.addService(served.definition, implementation(served, rules));
  }
  const bound = await listen(server, formatAddress({ host, port }), credentials);
  widen(server);
  return {
    address: formatAddress({ host, port: bound }),
    port: bound,
    close: async ({ graceMs = 2000 } = {}) => {
      closing.abort(new MedleyError('RPC_UNAVAILABLE', 'the server is closing'));
      await shutDown(server, graceMs);
    },
  };
}

/**
 * Lets a whole piece be on its way over one connection, as the client does for downloads by its channel
 * option. grpc-js has no such option for servers, so its HTTP/2 servers are asked for; where a later
 * version keeps them elsewhere, uploads are slower and nothing else (a test says so).
 */
function widen(server: Server): void {
  const { http2Servers } = server as unknown as {
    http2Servers?: ReadonlyMap<Http2Server, unknown>;
  };
  for (const one of http2Servers?.keys() ?? [])
    one.on('session', (session) => session.setLocalWindowSize(CHUNK_BYTES));
}

function implementation(served: Served, rules: CallRules): UntypedServiceImplementation {
  const calls: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(served.definition)) {
    const key = name.charAt(0).toLowerCase() + name.slice(1);
    const label = `${served.name}.${key}`;
    // `serve` has checked the handler against the definition; both are untyped from here on.
    const handler = served.handlers[key] as never;
    if (method.responseStream) calls[name] = serveServerStream(label, handler, rules);
    else if (method.requestStream) calls[name] = serveClientStream(label, handler, rules);
    else calls[name] = serveUnary(label, handler, rules);
  }
  return calls;
}

async function listen(
  server: Server,
  address: string,
  credentials: Parameters<Server['bindAsync']>[1],
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (cause, port) => {
      if (cause)
        reject(new MedleyError('RPC_LISTEN_FAILED', `${address}: ${cause.message}`, { cause }));
      else resolve(port);
    });
  });
}

async function shutDown(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
