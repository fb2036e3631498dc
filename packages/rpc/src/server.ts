import { setMaxListeners } from 'node:events';
import type { Http2SecureServer } from 'node:http2';
import {
  logVerbosity,
  Server,
  setLogVerbosity,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { MedleyError, silentLogger, systemClock, type Clock, type Logger } from '@medley/kit';
import { formatAddress, parseAddress } from './address.ts';
import { CHUNK_BYTES } from './chunk.ts';
import type { Handlers } from './context.ts';
import { serverCredentials, type ServerTls } from './credentials.ts';
import { serveClientStream, serveServerStream, serveUnary, type CallRules } from './call.ts';
import { CallGate, type CallLimits } from './limit/calls.ts';
import { limitConnections, type ConnectionLimits } from './limit/connections.ts';
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

export interface ServerLimits extends ConnectionLimits, CallLimits {
  readonly maxMessageBytes: number;
  /** Silence on a connection after which it is probed, in milliseconds. */
  readonly keepaliveMs: number;
}

/** What a server takes unless it is told otherwise; a silo needs two connections and a dozen calls. */
export const SERVER_LIMITS: ServerLimits = {
  maxMessageBytes: MAX_MESSAGE_BYTES,
  keepaliveMs: 20_000,
  connections: 4096,
  connectionsPerAddress: 256,
  handshakeMs: 10_000,
  callsInFlight: 64,
  callsPerSecond: 500,
};

export interface ServerOptions {
  /** `host:port` to listen on; port 0 takes any free one. */
  readonly address: string;
  readonly tls: ServerTls;
  readonly services: readonly Served[];
  /** Where they differ from {@link SERVER_LIMITS}. */
  readonly limits?: Partial<ServerLimits>;
  /** By which calls per second are counted; the system's when absent. */
  readonly clock?: Clock;
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
  const { logger = silentLogger, clock = systemClock } = options;
  const limits: ServerLimits = { ...SERVER_LIMITS, ...options.limits };
  const { keepaliveMs } = limits;
  const server = new Server({
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    'grpc.max_send_message_length': limits.maxMessageBytes,
    'grpc.max_concurrent_streams': limits.callsInFlight,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': Math.min(keepaliveMs, 10_000),
  });
  // grpc-js would write failures to the console that are thrown or logged here anyway.
  setLogVerbosity(logVerbosity.NONE);
  const closing = new AbortController();
  // Every open stream listens to it.
  setMaxListeners(0, closing.signal);
  const rules: CallRules = {
    closing: closing.signal,
    logger,
    gate: new CallGate(limits, clock),
    peerOf: rememberedPeers(),
    authorise: options.authorise ?? (() => undefined),
  };
  for (const served of options.services) {
    server.addService(served.definition, implementation(served, rules));
  }
  const bound = await listen(server, formatAddress({ host, port }), credentials);
  for (const listener of listenersOf(server)) {
    limitConnections(listener, limits, logger);
    widen(listener);
  }
  return {
    address: formatAddress({ host, port: bound }),
    port: bound,
    close: async ({ graceMs = 2000 } = {}) => {
      closing.abort(new MedleyError('RPC_UNAVAILABLE', 'the server is closing'));
      await shutDown(server, graceMs);
    },
  };
}

/** The HTTP/2 servers under gRPC. grpc-js hands them out nowhere; a later version may keep them elsewhere. */
function listenersOf(server: Server): Http2SecureServer[] {
  const { http2Servers } = server as unknown as {
    http2Servers?: ReadonlyMap<Http2SecureServer, unknown>;
  };
  if (!http2Servers?.size) throw new MedleyError('INTERNAL', 'gRPC keeps its listeners elsewhere');
  return [...http2Servers.keys()];
}

/**
 * Lets a whole piece be on its way over one connection, as the client does for downloads by its channel
 * option; grpc-js has no such option for servers.
 */
function widen(listener: Http2SecureServer): void {
  listener.on('session', (session) => session.setLocalWindowSize(CHUNK_BYTES));
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
