import type { Metadata } from '@grpc/grpc-js';
import type { Method, MethodMap } from './service.ts';
import type { Peer } from './peer.ts';

/** What a handler knows of its call beside the request. */
export interface CallContext {
  /** By the verified client certificate; undefined where the listener asks for none. */
  readonly peer: Peer | undefined;
  /**
   * Aborts when the caller cancels, its deadline passes or the connection breaks; for server streams
   * also when this server begins to close. The reason is a MedleyError.
   */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** `Service.method`, e.g. `Rounds.attend`. */
  readonly method: string;
  /** Host and port of the caller as the socket has them. */
  readonly address: string;
}

export type UnaryHandler<Request, Reply> = (
  request: Request,
  context: CallContext,
) => Promise<Reply> | Reply;

/** Yields the replies; the caller's flow control decides when the next one is asked for. */
export type ServerStreamHandler<Request, Reply> = (
  request: Request,
  context: CallContext,
) => AsyncIterable<Reply>;

export type ClientStreamHandler<Request, Reply> = (
  requests: AsyncIterable<Request>,
  context: CallContext,
) => Promise<Reply>;

/** Gives a unary handler its type where it is written apart from its {@link Handlers}. */
export const unary = <Request, Reply>(handler: UnaryHandler<Request, Reply>) => handler;
/** Gives a server streaming handler its type; see {@link unary}. */
export const serverStream = <Request, Reply>(handler: ServerStreamHandler<Request, Reply>) =>
  handler;
/** Gives a client streaming handler its type; see {@link unary}. */
export const clientStream = <Request, Reply>(handler: ClientStreamHandler<Request, Reply>) =>
  handler;

type HandlerOf<M> =
  M extends Method<infer Kind, unknown, infer RequestRead, infer Reply, unknown>
    ? Kind extends 'unary'
      ? UnaryHandler<RequestRead, Reply>
      : Kind extends 'serverStream'
        ? ServerStreamHandler<RequestRead, Reply>
        : ClientStreamHandler<RequestRead, Reply>
    : never;

/** One handler for every method of a service, by the method's name in camelCase. */
export type Handlers<Methods extends MethodMap> = {
  readonly [Name in keyof Methods]: HandlerOf<Methods[Name]>;
};
