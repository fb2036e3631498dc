import { once } from 'node:events';
import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
} from '@grpc/grpc-js';
import { MedleyError, type Logger } from '@medley/kit';
import type {
  CallContext,
  ClientStreamHandler,
  ServerStreamHandler,
  UnaryHandler,
} from './context.ts';
import type { CallGate } from './limit/calls.ts';
import { networkOf } from './limit/network.ts';
import type { Authentication, Peer } from './peer.ts';
import { toStatus } from './status.ts';

/** What an admitted call goes on with, where it is not what the certificate alone says. */
export interface Admission {
  /** Who calls, when something else than a certificate proved it. */
  readonly peer?: Peer;
  /** Ends the call when it aborts, with its reason: what was admitted is admitted no longer. */
  readonly until?: AbortSignal;
}

/** What holds for every call of one server. */
export interface CallRules {
  /** Aborts when the server begins to close. */
  readonly closing: AbortSignal;
  readonly logger: Logger;
  readonly gate: CallGate;
  readonly peerOf: (context: Authentication) => Peer | undefined;
  readonly authorise: (
    context: CallContext,
  ) => Promise<Admission | undefined> | Admission | undefined;
}

/** The part of grpc-js' server calls that all kinds share. */
interface AnyCall {
  readonly metadata: Metadata;
  getPeer(): string;
  getAuthContext(): Authentication;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** An async function as a grpc-js unary call. */
export function serveUnary<Request, Reply>(
  method: string,
  handler: UnaryHandler<Request, Reply>,
  rules: CallRules,
): handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    const reply = within(method, call, rules, (context) => handler(call.request, context));
    reply.then(
      (value) => callback(null, value),
      (caught: unknown) => callback(refusal(method, call, caught, rules)),
    );
  };
}

/** An async function over the incoming messages as a grpc-js client streaming call. */
export function serveClientStream<Request, Reply>(
  method: string,
  handler: ClientStreamHandler<Request, Reply>,
  rules: CallRules,
): handleClientStreamingCall<Request, Reply> {
  return (call, callback) => {
    const reply = within(method, call, rules, (context) =>
      orAborted(handler(call as AsyncIterable<Request>, context), context),
    );
    reply.then(
      (value) => callback(null, value),
      (caught: unknown) => callback(refusal(method, call, caught, rules)),
    );
  };
}

/** An async generator as a grpc-js server streaming call, at the pace of the caller. */
export function serveServerStream<Request, Reply>(
  method: string,
  handler: ServerStreamHandler<Request, Reply>,
  rules: CallRules,
): handleServerStreamingCall<Request, Reply> {
  return (call) => {
    const pump = async (context: CallContext): Promise<void> => {
      const { signal } = context;
      for await (const reply of handler(call.request, context)) {
        signal.throwIfAborted();
        if (!call.write(reply)) await once(call, 'drain', { signal }).catch(rethrowReason(signal));
      }
      signal.throwIfAborted();
      call.end();
    };
    // `end` is the one way to finish a server stream with a status; `emit('error')` reports ours.
    within(method, call, rules, pump, rules.closing).catch((caught: unknown) =>
      call.emit('error', refusal(method, call, caught, rules)),
    );
  };
}

/** Does a call's work if its caller has not too many already and may make it. */
async function within<T>(
  method: string,
  call: AnyCall,
  rules: CallRules,
  work: (context: CallContext) => Promise<T> | T,
  ...alsoEndedBy: readonly AbortSignal[]
): Promise<T> {
  const peer = rules.peerOf(call.getAuthContext());
  const address = call.getPeer();
  const caller = peer ? `${peer.role} ${peer.name}` : `address ${networkOf(address)}`;
  const leave = rules.gate.enter(caller);
  const end = new CallEnd();
  try {
    call.on('cancelled', () => end.now(new MedleyError('INTERRUPTED', `${method} was cancelled`)));
    for (const signal of alsoEndedBy) end.with(signal);
    const { signal } = end;
    const shown = { peer, signal, metadata: call.metadata, method, address };
    const admission = await rules.authorise(shown);
    if (admission?.until) end.with(admission.until);
    return await work(admission?.peer ? { ...shown, peer: admission.peer } : shown);
  } finally {
    end.release();
    leave();
  }
}

/**
 * The end of one call, which may be brought about by signals that outlive it by days. AbortSignal.any
 * would leave something of every call with those.
 */
class CallEnd {
  readonly #over = new AbortController();
  readonly #others: { readonly signal: AbortSignal; readonly listener: () => void }[] = [];

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  now(reason: unknown): void {
    this.#over.abort(reason);
  }

  /** Ends the call when `signal` aborts, with its reason. */
  with(signal: AbortSignal): void {
    const listener = (): void => this.now(signal.reason);
    if (signal.aborted) listener();
    signal.addEventListener('abort', listener, { once: true });
    this.#others.push({ signal, listener });
  }

  /** The call is over; nothing of it stays with the signals. */
  release(): void {
    for (const { signal, listener } of this.#others.splice(0)) {
      signal.removeEventListener('abort', listener);
    }
  }
}

/** The handler's reply, or the reason why the call ended before: a client may never stop sending. */
function orAborted<Reply>(reply: Promise<Reply>, { signal }: CallContext): Promise<Reply> {
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    reply.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function refusal(method: string, call: AnyCall, caught: unknown, rules: CallRules) {
  const error = MedleyError.from(caught);
  const fields = { step: method, address: call.getPeer(), code: error.code, detail: error.message };
  if (error.code === 'INTERNAL') rules.logger.error('call failed', fields);
  else rules.logger.debug('call refused', fields);
  return toStatus(error);
}

function rethrowReason(signal: AbortSignal): (caught: unknown) => never {
  return (caught) => {
    throw signal.aborted ? signal.reason : caught;
  };
}
