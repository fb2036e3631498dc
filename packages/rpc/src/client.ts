import { isIP } from 'node:net';
import {
  Client as GrpcClient,
  Metadata,
  type CallOptions as GrpcCallOptions,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { MedleyError, systemClock, type Clock } from '@medley/kit';
import { formatAddress, isLoopback, parseAddress } from './address.ts';
import { CHUNK_BYTES } from './chunk.ts';
import { clientCredentials, type ClientTls } from './credentials.ts';
import { MAX_MESSAGE_BYTES } from './server.ts';
import type { Method, MethodMap, Service } from './service.ts';
import { fromStatus } from './status.ts';

export interface CallOptions {
  /** Milliseconds for the whole call. Unary: 30 000, client stream: 300 000, server stream: none. */
  readonly timeoutMs?: number;
  /** Cancels the call; it then fails with the signal's reason if that is a MedleyError, else INTERRUPTED. */
  readonly signal?: AbortSignal;
}

type CallOf<M> =
  M extends Method<infer Kind, infer Request, unknown, unknown, infer ReplyRead>
    ? Kind extends 'unary'
      ? (request: Request, options?: CallOptions) => Promise<ReplyRead>
      : Kind extends 'serverStream'
        ? (request: Request, options?: CallOptions) => AsyncIterable<ReplyRead>
        : (
            requests: AsyncIterable<Request> | Iterable<Request>,
            options?: CallOptions,
          ) => Promise<ReplyRead>
    : never;

/** The methods of a service as functions; every failure is a MedleyError with the peer's code. */
export type Client<Methods extends MethodMap> = {
  readonly [Name in keyof Methods]: CallOf<Methods[Name]>;
} & {
  /** Ends the connection; open calls fail. */
  readonly close: () => void;
};

export interface ConnectOptions<Methods extends MethodMap> {
  readonly service: Service<Methods>;
  /** `host:port`. */
  readonly address: string;
  readonly tls: ClientTls;
  readonly clock?: Clock;
  /** API token that goes with every call. */
  readonly token?: string;
  /** Silence after which an open call's connection is probed, in milliseconds; default 20 000. */
  readonly keepaliveMs?: number;
}

const UNARY_TIMEOUT_MS = 30_000;
const CLIENT_STREAM_TIMEOUT_MS = 300_000;

/**
 * A client over TLS 1.3, mutual when `tls` has key and certificate. Connects on the first call and
 * again when the connection was lost; honours the environment's HTTP proxy except for loopback.
 * Throws RPC_ADDRESS_INVALID and RPC_TLS_REFUSED (unusable key or certificate); calls throw the peer's
 * code or RPC_UNAVAILABLE, RPC_TLS_REFUSED, RPC_DEADLINE, INTERRUPTED and other RPC_* of the transport.
 */
export function connect<Methods extends MethodMap>(
  options: ConnectOptions<Methods>,
): Client<Methods> {
  const target = parseAddress(options.address);
  const address = formatAddress(target);
  const keepaliveMs = options.keepaliveMs ?? 20_000;
  const client = new GrpcClient(address, clientCredentials(options.tls, target.host), {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': Math.min(keepaliveMs, 10_000),
    // HTTP/2's own 64 KiB would cap a download at 64 KiB a round trip: 3 MB/s over 20 ms.
    'grpc-node.flow_control_window': CHUNK_BYTES,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.enable_http_proxy': isLoopback(target.host) ? 0 : 1,
    // An IP address is no server name (RFC 6066 section 3); the certificate is checked against the host.
    ...(isIP(target.host) ? { 'grpc.ssl_target_name_override': 'medley.invalid' } : {}),
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
  });
  const caller = new Caller(client, address, options.clock ?? systemClock, options.token);
  const methods: Record<string, unknown> = { close: () => client.close() };
  for (const [name, method] of Object.entries(options.service.definition())) {
    const key = name.charAt(0).toLowerCase() + name.slice(1);
    methods[key] = caller.bind(method);
  }
  // The definition's method names and kinds are those that `Methods` was generated from.
  return methods as Client<Methods>;
}

type AnyMethod = MethodDefinition<unknown, unknown>;

class Caller {
  readonly #client: GrpcClient;
  readonly #address: string;
  readonly #clock: Clock;
  readonly #token: string | undefined;

  constructor(client: GrpcClient, address: string, clock: Clock, token: string | undefined) {
    this.#token = token;
    this.#client = client;
    this.#address = address;
    this.#clock = clock;
  }

  bind(method: AnyMethod): unknown {
    if (method.responseStream) {
      return (request: unknown, options?: CallOptions) =>
        this.#serverStream(method, request, options);
    }
    if (method.requestStream) {
      return (requests: AsyncIterable<unknown>, options?: CallOptions) =>
        this.#clientStream(method, requests, options);
    }
    return (request: unknown, options?: CallOptions) => this.#unary(method, request, options);
  }

  async #unary(method: AnyMethod, request: unknown, options: CallOptions = {}): Promise<unknown> {
    const { signal } = options;
    throwIfAborted(signal);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        this.#metadata(),
        this.#limits(options.timeoutMs ?? UNARY_TIMEOUT_MS),
        (failure, reply) => {
          stop();
          if (failure) reject(this.#failed(failure, signal));
          else resolve(reply);
        },
      );
      const stop = onAbort(signal, () => call.cancel());
    });
  }

  async #clientStream(
    method: AnyMethod,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
    options: CallOptions = {},
  ): Promise<unknown> {
    const { signal } = options;
    throwIfAborted(signal);
    return new Promise((resolve, reject) => {
      let isOver = false;
      const call = this.#client.makeClientStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        this.#metadata(),
        this.#limits(options.timeoutMs ?? CLIENT_STREAM_TIMEOUT_MS),
        (failure, reply) => {
          isOver = true;
          wake();
          stop();
          if (failure) reject(this.#failed(failure, signal));
          else resolve(reply);
        },
      );
      const stop = onAbort(signal, () => call.cancel());
      let wake: () => void = () => undefined;
      call.on('drain', () => wake());
      const send = async (): Promise<void> => {
        for await (const request of requests) {
          // The server may answer before it has read everything, as when it refuses.
          if (isOver) return;
          if (!call.write(request)) await new Promise<void>((resume) => (wake = resume));
        }
        call.end();
      };
      send().catch((caught: unknown) => {
        reject(MedleyError.from(caught));
        call.cancel();
      });
    });
  }

  async *#serverStream(
    method: AnyMethod,
    request: unknown,
    options: CallOptions = {},
  ): AsyncGenerator {
    const { signal } = options;
    throwIfAborted(signal);
    const call = this.#client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      this.#metadata(),
      options.timeoutMs === undefined ? {} : this.#limits(options.timeoutMs),
    );
    const stop = onAbort(signal, () => call.cancel());
    try {
      for await (const reply of call) yield reply;
    } catch (caught) {
      throw this.#failed(caught, signal);
    } finally {
      stop();
      // The caller may stop reading early; without this the server would go on sending.
      call.cancel();
    }
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    return metadata;
  }

  #limits(timeoutMs: number): GrpcCallOptions {
    return { deadline: this.#clock.nowMs() + timeoutMs };
  }

  #failed(caught: unknown, signal: AbortSignal | undefined): MedleyError {
    if (signal?.aborted) return reasonOf(signal);
    // Everything that a call rejects with carries `code` and `details`; anything else is our own fault.
    if (caught instanceof Error && 'details' in caught) {
      return fromStatus(caught as ServiceError, this.#address);
    }
    return MedleyError.from(caught);
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}

function reasonOf(signal: AbortSignal): MedleyError {
  const error = MedleyError.from(signal.reason);
  return error.code === 'INTERNAL'
    ? new MedleyError('INTERRUPTED', 'the call was cancelled', { cause: signal.reason })
    : error;
}

/** Calls `act` when `signal` aborts; the returned function takes that back. */
function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  signal?.addEventListener('abort', act, { once: true });
  return () => signal?.removeEventListener('abort', act);
}
