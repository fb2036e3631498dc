import type { Assignment__Output, Client, RoundsMethods } from '@medley/rpc';
import type { Attend } from './agent.ts';

/** A connection that calls still use. */
interface Held {
  readonly client: Client<RoundsMethods>;
  open: number;
  isRetired: boolean;
}

type AnyMethod = (...args: unknown[]) => Promise<unknown> | AsyncIterable<unknown>;

/**
 * The agent's client while certificates come and go: each call begins on the newest connection and
 * ends on the one it began on, which closes after its last call.
 */
export class Link {
  /** Calls through it go to the newest connection; its `close` is {@link Link.close}. */
  readonly client: Client<RoundsMethods>;
  #held: Held;
  #swapped: { readonly promise: Promise<void>; readonly tell: () => void };

  constructor(first: Client<RoundsMethods>) {
    this.#held = { client: first, open: 0, isRetired: false };
    this.#swapped = signal();
    const methods = Object.keys(first).map((name) => [
      name,
      name === 'close' ? () => this.close() : this.#forward(name),
    ]);
    // Same names and kinds as the client's own.
    this.client = Object.fromEntries(methods) as Client<RoundsMethods>;
  }

  /** Calls from now on go to `next`, which the link closes in its turn. */
  swap(next: Client<RoundsMethods>): void {
    const before = this.#held;
    this.#held = { client: next, open: 0, isRetired: false };
    before.isRetired = true;
    if (before.open === 0) before.client.close();
    const { tell } = this.#swapped;
    this.#swapped = signal();
    tell();
  }

  /** Ends the newest connection at once; older ones end with their calls. */
  close(): void {
    this.#held.client.close();
  }

  /**
   * The stream of assignments, which moves to a new connection without a gap: the new stream has
   * spoken before the old one is left. The aggregator says on every stream all there is to know.
   */
  attend(request: Parameters<Client<RoundsMethods>['attend']>[0]): Attend {
    return (end) => this.#attend(request, end);
  }

  async *#attend(
    request: Parameters<Client<RoundsMethods>['attend']>[0],
    end: AbortSignal,
  ): AsyncGenerator<Assignment__Output> {
    let stream = this.#stream(request, end);
    try {
      for (;;) {
        const { promise } = this.#swapped;
        const moved = promise.then(() => 'moved' as const);
        const next = await Promise.race([stream.next, moved]);
        if (next === 'moved') {
          const fresh = this.#stream(request, end);
          const old = stream;
          stream = fresh;
          try {
            await fresh.next;
          } finally {
            old.leave();
          }
        } else {
          if (next.done === true) return;
          stream.advance();
          yield next.value;
        }
      }
    } finally {
      stream.leave();
    }
  }

  #stream(request: Parameters<Client<RoundsMethods>['attend']>[0], end: AbortSignal) {
    const leave = new AbortController();
    const signals = { signal: AbortSignal.any([end, leave.signal]) };
    const messages = this.client.attend(request, signals)[Symbol.asyncIterator]();
    const stream = {
      next: messages.next(),
      advance: (): void => {
        stream.next = messages.next();
        // Left streams fail with nobody waiting.
        stream.next.catch(() => undefined);
      },
      leave: (): void => leave.abort(),
    };
    stream.next.catch(() => undefined);
    return stream;
  }

  #forward(name: string): AnyMethod {
    return (...args) => {
      const held = this.#held;
      const answer = (held.client as unknown as Record<string, AnyMethod>)[name]!(...args);
      held.open += 1;
      const leave = (): void => {
        held.open -= 1;
        if (held.isRetired && held.open === 0) held.client.close();
      };
      if (answer instanceof Promise) return answer.finally(leave);
      return until(answer, leave);
    };
  }
}

/** The messages, and `over` once at their end however it comes. */
async function* until(messages: AsyncIterable<unknown>, over: () => void): AsyncGenerator {
  try {
    yield* messages;
  } finally {
    over();
  }
}

function signal(): { readonly promise: Promise<void>; readonly tell: () => void } {
  let tell: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => (tell = resolve));
  return { promise, tell };
}
