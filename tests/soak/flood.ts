import { fork, type ChildProcess } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, Rounds, type Client, type RoundsMethods } from '@medley/rpc';
import { attack, type AttackCounts } from './attack.ts';
import type { Held, Ready } from './server.ts';

/** How the honest fared in one phase. Times in milliseconds. */
export interface Served {
  readonly calls: number;
  readonly failures: number;
  readonly medianMs: number;
  readonly p99Ms: number;
}

export interface FloodResult {
  readonly streams: number;
  readonly seconds: number;
  readonly quiet: Served;
  readonly flooded: Served;
  /** Streams that broke, and the longest time without a word on one of them. */
  readonly brokenStreams: number;
  readonly longestSilenceSeconds: number;
  readonly attack: AttackCounts;
  /** What the aggregator's process holds with all streams open, before and after the flood. */
  readonly heldBytesBefore: number;
  readonly heldBytesAfter: number;
  readonly peakBytes: number;
}

export interface FloodOptions {
  readonly streams: number;
  /** Length of each of the two phases. */
  readonly seconds: number;
  readonly say?: (line: string) => void;
}

/** Connections opened at a time: the server answers them on one thread. */
const OPENING = 25;
/** Honest silos that call, all of them once in {@link PERIOD_MS}. */
const CALLERS = 20;
const PERIOD_MS = 250;

/**
 * Holds a stream of every silo open over TLS, and measures honest calls first in quiet and then while
 * strangers and one enrolled silo flood the same listener.
 */
export async function flood({ streams, seconds, say }: FloodOptions): Promise<FloodResult> {
  const server = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [String(streams + 1)]);
  const clients: Client<RoundsMethods>[] = [];
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  try {
    const [ready] = (await once(server, 'message')) as [Ready];
    for (const silo of ready.silos) {
      const tls = { caPem: ready.caPem, ...silo };
      clients.push(connect({ service: Rounds, address: ready.rounds, tls }));
    }
    const [insider, ...honest] = clients as [Client<RoundsMethods>, ...Client<RoundsMethods>[]];
    const watch: Watch = { broken: 0, heardMs: new Map() };
    for (let at = 0; at < honest.length; at += OPENING) {
      const some = honest.slice(at, at + OPENING);
      await Promise.all(some.map((client) => listen(client, watch, over.signal)));
    }
    say?.(`${honest.length} streams are open`);
    const before = await heldBy(server);
    const quiet = await measure(honest.slice(0, CALLERS), seconds);
    say?.('quiet phase measured; the flood begins');
    const stop = new AbortController();
    const attacked = attack(ready.rounds, insider, stop.signal);
    const flooded = await measure(honest.slice(0, CALLERS), seconds);
    const silence = longestSilence(watch);
    stop.abort();
    const counts = await attacked;
    const after = await heldBy(server);
    return {
      ...{ streams: honest.length, seconds, quiet, flooded, attack: counts },
      brokenStreams: watch.broken,
      longestSilenceSeconds: silence / 1000,
      heldBytesBefore: before.heldBytes,
      heldBytesAfter: after.heldBytes,
      peakBytes: after.peakBytes,
    };
  } finally {
    over.abort();
    for (const client of clients) client.close();
    if (server.connected) server.disconnect();
    await once(server, 'exit');
  }
}

interface Watch {
  broken: number;
  readonly heardMs: Map<Client<RoundsMethods>, { last: number; longest: number }>;
}

/** Opens a stream and keeps listening; resolves at its first word. */
async function listen(
  client: Client<RoundsMethods>,
  watch: Watch,
  signal: AbortSignal,
): Promise<void> {
  const request = { protocolVersion: 2, agentVersion: 'soak' };
  const replies = client.attend(request, { signal })[Symbol.asyncIterator]();
  await replies.next();
  const heard = { last: performance.now(), longest: 0 };
  watch.heardMs.set(client, heard);
  const rest = async (): Promise<void> => {
    for (;;) {
      const next = await replies.next();
      if (next.done === true) throw new Error('ended');
      const nowMs = performance.now();
      heard.longest = Math.max(heard.longest, nowMs - heard.last);
      heard.last = nowMs;
    }
  };
  rest().catch(() => {
    if (!signal.aborted) watch.broken += 1;
  });
}

function longestSilence({ heardMs }: Watch): number {
  const nowMs = performance.now();
  return Math.max(...[...heardMs.values()].map((h) => Math.max(h.longest, nowMs - h.last)));
}

async function measure(clients: Client<RoundsMethods>[], seconds: number): Promise<Served> {
  const times: number[] = [];
  let failures = 0;
  const untilMs = performance.now() + seconds * 1000;
  const calling = clients.map(async (client, place) => {
    await pause((place * PERIOD_MS) / clients.length);
    while (performance.now() < untilMs) {
      const beginMs = performance.now();
      await client.listStudies({}, { timeoutMs: 5000 }).catch(() => failures++);
      times.push(performance.now() - beginMs);
      await pause(PERIOD_MS);
    }
  });
  await Promise.all(calling);
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor(part * (times.length - 1))] ?? NaN;
  return { calls: times.length, failures, medianMs: at(0.5), p99Ms: at(0.99) };
}

async function heldBy(server: ChildProcess): Promise<Held> {
  const answer = once(server, 'message') as Promise<[Held]>;
  server.send('held');
  return (await answer)[0];
}
