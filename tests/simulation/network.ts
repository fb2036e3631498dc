import { MedleyError, seededRng, uniformReal, type Rng } from '@medley/kit';
import { Rounds, type CallContext, type Client, type RoundsMethods } from '@medley/rpc';
import type { Hub } from './hub.ts';
import type { MomentKind, StepName, Verdict } from './moment.ts';
import { never, type Life, type SimTime } from './time.ts';

/** One message that an agent let go, as bytes and as the other side reads it. */
export interface Letter {
  readonly silo: string;
  readonly method: string;
  readonly bytes: Uint8Array;
  readonly message: unknown;
}

/** Who calls: one life of one agent. */
export interface Caller {
  readonly index: number;
  readonly silo: string;
  readonly serial: string;
  readonly life: Life;
}

export interface NetworkSetup {
  readonly time: SimTime;
  readonly seed: string;
  readonly hub: () => Hub | undefined;
  readonly onMoment: (
    who: number,
    kind: MomentKind,
    step: StepName,
    round: number,
  ) => Verdict | undefined;
}

/** Row of the matrix to which a call belongs. */
const STEP_OF: Readonly<Record<string, StepName>> = {
  attend: 'open',
  advertise: 'advertise',
  share: 'share',
  submit: 'mask',
  confirm: 'confirm',
  release: 'release',
  fetchBlob: 'close',
};

/** Bytes that the network takes at a time, small enough that the shortest vector takes several. */
const PIECE_BYTES = 64;
/** What a call waits for an answer that was lost. */
const SILENCE_MS = 400;
/** What a call waits at most, as `connect` of packages/rpc has it. */
const PATIENCE_MS = 30_000;

type AnyMessage = Readonly<Record<string, unknown>>;

/** Carries the calls of agents to the aggregator: every message as bytes, none faster than it should be. */
export class Network {
  /** Everything that left an agent, delivered or not. */
  readonly tape: Letter[] = [];
  /** Uploads of masked vectors that began behind their first byte. */
  resumed = 0;
  readonly #setup: NetworkSetup;
  readonly #clock;
  readonly #lines = new Map<string, Rng>();
  #isUp = true;
  #streams = new Map<AbortController, Life>();

  constructor(setup: NetworkSetup) {
    this.#setup = setup;
    this.#clock = setup.time.of({ isAlive: true, skewMs: 0 });
  }

  /** Cuts every open stream and, until it is called again, refuses every call. */
  setUp(isUp: boolean): void {
    this.#isUp = isUp;
    if (!isUp) this.cutStreams();
  }

  /** Breaks open streams: those of one life of an agent, or all. */
  cutStreams(life?: Life): void {
    for (const [stream, owner] of this.#streams) if (!life || owner === life) stream.abort(lost());
  }

  /** The client of one life of an agent. */
  client(caller: Caller): Client<RoundsMethods> {
    const methods: Record<string, unknown> = { close: () => undefined };
    for (const name of Object.keys(Rounds.definition())) {
      const method = name.charAt(0).toLowerCase() + name.slice(1);
      const { requestStream, responseStream } = Rounds.definition()[name]!;
      if (responseStream) {
        methods[method] = (request: AnyMessage, options?: { signal?: AbortSignal }) =>
          this.#stream(caller, name, request, options?.signal);
      } else if (requestStream) {
        methods[method] = (requests: Iterable<AnyMessage>, options?: { signal?: AbortSignal }) =>
          this.#upload(caller, name, requests, options?.signal);
      } else {
        methods[method] = (request: AnyMessage, options?: { signal?: AbortSignal }) =>
          this.#unary(caller, name, request, options?.signal);
      }
    }
    // One for each method of the definition that the type is made from.
    return methods as unknown as Client<RoundsMethods>;
  }

  async #unary(
    caller: Caller,
    name: string,
    request: AnyMessage,
    signal?: AbortSignal,
  ): Promise<unknown> {
    signal?.throwIfAborted();
    const letter = this.#post(caller, name, request);
    const verdict = this.#moment(caller, 'send', letter);
    if (verdict?.do === 'double') void this.#arrive(caller, name, letter).catch(() => undefined);
    return this.#answered(caller, letter, verdict, signal, () =>
      this.#arrive(caller, name, letter),
    );
  }

  async #upload(
    caller: Caller,
    name: string,
    requests: Iterable<AnyMessage>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    signal?.throwIfAborted();
    const messages = [...requests].flatMap(inPieces);
    const letters = messages.map((message) => this.#post(caller, name, message));
    const head = letters[0]!;
    const first = messages.find(({ chunk }) => chunk)?.['chunk'] as { offset: string } | undefined;
    if (first && first.offset !== '0') this.resumed += 1;
    const verdict = this.#moment(caller, 'send', head);
    const carry = (cutAt?: number): Promise<unknown> => {
      const stream = this.#carry(caller, letters, cutAt);
      return this.#arrive(caller, name, head, stream);
    };
    if (verdict?.do === 'double') void carry().catch(() => undefined);
    const cutAt = verdict?.do === 'cut' ? 1 + verdict.afterPieces : undefined;
    return this.#answered(caller, head, verdict, signal, () => carry(cutAt));
  }

  async *#carry(caller: Caller, letters: readonly Letter[], cutAt?: number): AsyncGenerator {
    for (const [place, { message }] of letters.entries()) {
      if (place === cutAt) throw new MedleyError('INTERRUPTED', 'the connection broke');
      await this.#travel(caller);
      yield message;
    }
  }

  /** The answer to a call as its caller gets it, if it lives. */
  async #answered(
    caller: Caller,
    letter: Letter,
    verdict: Verdict | undefined,
    signal: AbortSignal | undefined,
    arrive: () => Promise<unknown>,
  ): Promise<unknown> {
    const way = async (): Promise<unknown> => {
      if (!caller.life.isAlive) return never();
      if (verdict?.do === 'lose') return this.#silence();
      if (verdict?.do === 'delay') {
        const late = this.#clock.sleep(verdict.ms);
        // The caller gives up long before, and the message arrives all the same.
        if (verdict.ms > PATIENCE_MS) {
          void late.then(arrive).catch(() => undefined);
          return this.#silence(PATIENCE_MS);
        }
        await late;
      }
      const reply = await arrive().catch((caught: unknown) => {
        if (verdict?.do === 'cut') throw lost();
        throw caught;
      });
      const after = this.#moment(caller, 'reply', letter);
      if (after?.do === 'lose') return this.#silence();
      await this.#travel(caller);
      return reply;
    };
    const answer = await orAborted(way(), signal).catch(async (caught: unknown) => {
      if (!caller.life.isAlive) return never();
      throw caught;
    });
    return caller.life.isAlive ? answer : never();
  }

  async #silence(ms = SILENCE_MS): Promise<never> {
    await this.#clock.sleep(ms);
    throw lost();
  }

  /** One way of a message; the aggregator's answer when it gets through. */
  async #arrive(
    caller: Caller,
    name: string,
    letter: Letter,
    stream?: AsyncIterable<unknown>,
  ): Promise<unknown> {
    await this.#travel(caller);
    const hub = this.#hub();
    const over = new AbortController();
    const work = async (): Promise<unknown> => {
      const method = name.charAt(0).toLowerCase() + name.slice(1);
      const handler = (await hub.handle(method, contextOf(caller, over.signal))) as (
        request: unknown,
      ) => Promise<unknown>;
      const reply = await handler(stream ?? letter.message);
      const { responseSerialize, responseDeserialize } = Rounds.definition()[name]!;
      return responseDeserialize(responseSerialize(reply));
    };
    const died = hub.died.then(() => {
      throw lost();
    });
    return Promise.race([work().catch(coded), died]);
  }

  async *#stream(
    caller: Caller,
    name: string,
    request: AnyMessage,
    signal?: AbortSignal,
  ): AsyncGenerator {
    signal?.throwIfAborted();
    const letter = this.#post(caller, name, request);
    const verdict = this.#moment(caller, 'send', letter);
    if (verdict?.do === 'lose') await this.#silence();
    if (verdict?.do === 'delay') {
      await this.#clock.sleep(Math.min(verdict.ms, PATIENCE_MS));
      if (verdict.ms > PATIENCE_MS) throw lost();
    }
    await this.#travel(caller);
    const hub = this.#hub();
    const broken = new AbortController();
    this.#streams.set(broken, caller.life);
    const end = AbortSignal.any(signal ? [signal, broken.signal] : [broken.signal]);
    void hub.died.then(() => broken.abort(lost()));
    const method = name.charAt(0).toLowerCase() + name.slice(1);
    let replies: AsyncIterator<unknown> | undefined;
    try {
      const handler = (await hub.handle(method, contextOf(caller, end)).catch(coded)) as (
        request: unknown,
      ) => AsyncIterable<unknown>;
      let pieces = 0;
      replies = handler(letter.message)[Symbol.asyncIterator]();
      for (;;) {
        const next = await orAborted(replies.next(), end).catch(coded);
        if (next.done === true) return;
        for (const message of inReplies(next.value as AnyMessage)) {
          if (verdict?.do === 'cut' && pieces === verdict.afterPieces) throw lost();
          pieces += 1;
          await orAborted(this.#travel(caller), end);
          // Not for ever: a stream that is left open keeps a file open.
          if (!caller.life.isAlive) throw lost();
          const { responseSerialize, responseDeserialize } = Rounds.definition()[name]!;
          yield responseDeserialize(responseSerialize(message));
        }
      }
    } finally {
      this.#streams.delete(broken);
      broken.abort(lost());
      void replies?.return?.().catch(() => undefined);
    }
  }

  #post(caller: Caller, name: string, request: AnyMessage): Letter {
    const { requestSerialize, requestDeserialize } = Rounds.definition()[name]!;
    const bytes = requestSerialize(request);
    const method = name.charAt(0).toLowerCase() + name.slice(1);
    const letter = { silo: caller.silo, method, bytes, message: requestDeserialize(bytes) };
    if (caller.life.isAlive) this.tape.push(letter);
    return letter;
  }

  #moment(caller: Caller, kind: MomentKind, { method, message }: Letter): Verdict | undefined {
    const step = STEP_OF[method];
    if (!step || !caller.life.isAlive) return undefined;
    const { key, header } = message as {
      key?: { round: number };
      header?: { key: { round: number } };
    };
    return this.#setup.onMoment(caller.index, kind, step, (key ?? header?.key)?.round ?? -1);
  }

  #hub(): Hub {
    const hub = this.#setup.hub();
    if (!this.#isUp || !hub?.life.isAlive) throw lost();
    return hub;
  }

  /** Between 1 and 20 ms, and never twice the same; each agent's line has delays of its own. */
  async #travel({ silo }: Caller): Promise<void> {
    const line = this.#lines.get(silo) ?? seededRng(`${this.#setup.seed} line of ${silo}`);
    this.#lines.set(silo, line);
    await this.#clock.sleep(1 + 19 * uniformReal(line));
  }
}

function contextOf(
  { silo: name, serial }: Caller,
  signal: AbortSignal,
): Omit<CallContext, 'method'> {
  const peer = { role: 'silo', name, consortium: 'test', serial } as const;
  // No silo's call reads it.
  return { peer, signal, address: 'simulation', metadata: undefined as never };
}

/** A message with its chunk cut into what the network takes at a time. */
function inPieces(message: AnyMessage): AnyMessage[] {
  const chunk = message['chunk'] as { offset: string; data: Uint8Array } | undefined;
  if (!chunk) return [message];
  return cut(chunk).map((piece) => ({ chunk: piece }));
}

function inReplies(message: AnyMessage): readonly AnyMessage[] {
  const { offset, data } = message as { offset?: string; data?: Uint8Array };
  return data && offset !== undefined ? cut({ offset, data }) : [message];
}

function cut({
  offset,
  data,
}: {
  offset: string;
  data: Uint8Array;
}): { offset: string; data: Uint8Array }[] {
  const count = Math.ceil(data.length / PIECE_BYTES);
  return Array.from({ length: count }, (_, i) => ({
    offset: String(Number(offset) + i * PIECE_BYTES),
    data: data.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES),
  }));
}

/** The code travels, nothing else of an error does. */
function coded(caught: unknown): never {
  const { code, message } = MedleyError.from(caught);
  throw new MedleyError(code, message);
}

function lost(): MedleyError {
  return new MedleyError('RPC_UNAVAILABLE', 'the connection broke');
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) {
      abort();
      work.catch(() => undefined);
      return;
    }
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
