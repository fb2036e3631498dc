import { describe, expect, test } from '@jest/globals';
import { MedleyError } from '@medley/kit';
import type { Assignment__Output, Client, RoundsMethods } from '@medley/rpc';
import { Link } from './link.ts';

/** A connection whose calls answer when the test says so. */
class FakeConnection {
  readonly name: string;
  isClosed = false;
  streams = 0;
  readonly #answers: (() => void)[] = [];
  readonly #messages: ((message: Assignment__Output) => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  readonly client = {
    listStudies: () =>
      new Promise((resolve) => this.#answers.push(() => resolve({ studies: [this.name] }))),
    attend: (_request: unknown, { signal }: { signal: AbortSignal }) => this.#attend(signal),
    close: () => void (this.isClosed = true),
  } as unknown as Client<RoundsMethods>;

  answer(): void {
    this.#answers.shift()?.();
  }

  /** Sends a message on the stream, once somebody listens. */
  async say(): Promise<void> {
    while (this.#messages.length === 0) await Promise.resolve();
    this.#messages.shift()?.({ study: { study: this.name } } as Assignment__Output);
  }

  async *#attend(signal: AbortSignal): AsyncGenerator<Assignment__Output> {
    this.streams += 1;
    try {
      for (;;) {
        yield await new Promise<Assignment__Output>((resolve, reject) => {
          this.#messages.push(resolve);
          signal.addEventListener('abort', () => reject(new MedleyError('INTERRUPTED', 'left')));
        });
      }
    } finally {
      this.streams -= 1;
    }
  }
}

const request = { agentVersion: 'test', protocolVersion: 2 };
const never = new AbortController().signal;

describe('a link', () => {
  test('lets calls finish where they began and closes the connection after the last', async () => {
    const [first, second] = [new FakeConnection('first'), new FakeConnection('second')];
    const link = new Link(first.client);
    const early = link.client.listStudies({});
    link.swap(second.client);
    const late = link.client.listStudies({});
    expect(first.isClosed).toBe(false);
    second.answer();
    first.answer();
    expect(await early).toEqual({ studies: ['first'] });
    expect(await late).toEqual({ studies: ['second'] });
    expect([first.isClosed, second.isClosed]).toEqual([true, false]);
    link.close();
    expect(second.isClosed).toBe(true);
  });

  test('closes an idle connection at once', () => {
    const [first, second] = [new FakeConnection('first'), new FakeConnection('second')];
    const link = new Link(first.client);
    link.swap(second.client);
    expect(first.isClosed).toBe(true);
  });

  test('moves the stream without a gap: the new one has spoken before the old one is left', async () => {
    const [first, second] = [new FakeConnection('first'), new FakeConnection('second')];
    const link = new Link(first.client);
    const messages = link.attend(request)(never)[Symbol.asyncIterator]();
    const one = messages.next();
    await first.say();
    expect((await one).value).toEqual({ study: { study: 'first' } });
    const two = messages.next();
    link.swap(second.client);
    while (second.streams === 0) await Promise.resolve();
    expect([first.streams, first.isClosed]).toEqual([1, false]);
    await second.say();
    expect((await two).value).toEqual({ study: { study: 'second' } });
    while (first.streams > 0) await Promise.resolve();
    while (!first.isClosed) await Promise.resolve();
    const three = messages.next();
    await second.say();
    expect((await three).value).toEqual({ study: { study: 'second' } });
  });

  test('ends its stream with the agent', async () => {
    const first = new FakeConnection('first');
    const end = new AbortController();
    const messages = new Link(first.client).attend(request)(end.signal)[Symbol.asyncIterator]();
    const one = messages.next();
    await first.say();
    await one;
    const two = messages.next();
    end.abort();
    await expect(two).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(first.streams).toBe(0);
  });
});
