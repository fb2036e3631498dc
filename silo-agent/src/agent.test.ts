import { afterEach, describe, expect, test } from '@jest/globals';
import {
  ManualClock,
  MedleyError,
  silentLogger,
  type Clock,
  type LogFields,
  type Logger,
} from '@medley/kit';
import {
  formatVerifierKey,
  leafHash,
  logKeyFromSeed,
  MerkleTree,
  signCheckpoint,
  verifierKeyOf,
} from '@medley/merkle';
import type { Assignment__Output, RoundTask__Output } from '@medley/rpc';
import { Federation, NOW_MS, STUDY } from '../../tests/support/hospitals.ts';
import { proveOver, witnessOf } from '../../tests/support/witness.ts';
import { Agent, type AgentParts, type Attend } from './agent.ts';
import type { Task } from './round/task.ts';

let open: Federation | undefined;

afterEach(async () => {
  await open?.close();
  open = undefined;
});

const HEARTBEAT: Assignment__Output = {
  body: 'heartbeat',
  heartbeat: { nowMs: '1', leaseMs: 5000 },
};

/** An advertise task as it stands on the wire. */
function wire({ id, kind, charterHash, model, deadlineMs, sessionId }: Task): RoundTask__Output {
  return {
    key: id,
    kind,
    charterHash,
    model: { sha256: Buffer.from(model.sha256), sizeBytes: String(model.sizeBytes) },
    deadlineMs: String(deadlineMs),
    sessionId: Buffer.from(sessionId),
    advertise: {},
    step: 'advertise',
  };
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    if (signal.aborted) reject(signal.reason as Error);
  });
}

async function agentOf(change: Partial<AgentParts> & { readonly attend: Attend }): Promise<Agent> {
  open ??= await Federation.open(3);
  return new Agent({
    ...open.member(1).parts,
    vouch: async () => undefined,
    clock: CLOCK,
    ...change,
  });
}

/** Pauses between tries take no time; what lasts seconds (a lease) never ends by itself. */
const CLOCK: Clock = {
  nowMs: () => NOW_MS,
  sleep: (ms, signal) =>
    ms >= 5000 && signal ? never(signal) : new Promise((resolve) => setImmediate(resolve)),
};

function signals() {
  return { drain: new AbortController(), stop: new AbortController() };
}

describe('agent', () => {
  test('comes back whenever the stream ends or breaks', async () => {
    const { drain, stop } = signals();
    let connections = 0;
    const agent = await agentOf({
      clock: CLOCK,
      attend: async function* (signal) {
        connections += 1;
        yield HEARTBEAT;
        if (connections === 1) throw new MedleyError('RPC_UNAVAILABLE', 'gone');
        if (connections === 3) {
          stop.abort(new MedleyError('INTERRUPTED', 'enough'));
          await never(signal);
        }
      },
    });
    await agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 0 });
    expect(connections).toBe(3);
  });

  test('gives up a stream on which nothing comes for longer than the lease', async () => {
    const { drain, stop } = signals();
    const clock = new ManualClock();
    let reason: unknown;
    const agent = await agentOf({
      clock,
      attend: async function* (signal) {
        if (reason) await never(signal);
        yield HEARTBEAT;
        // The lease begins when the heartbeat has been taken, which is when the next one is asked for.
        setImmediate(() => clock.advance(5000));
        await never(signal).catch((caught: unknown) => {
          reason = caught;
          stop.abort(new MedleyError('INTERRUPTED', 'enough'));
        });
      },
    });
    await agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 0 });
    expect(reason).toMatchObject({ code: 'RPC_DEADLINE' });
  });

  test('takes no checkpoint for a rollback because a cosignature before it was slow', async () => {
    const fed = (open = await Federation.open(3));
    const leaves = [1, 2, 3].map((byte) => new Uint8Array([byte]));
    const key = logKeyFromSeed('medley/test', new Uint8Array(32).fill(7));
    const verifierKey = formatVerifierKey(verifierKeyOf('log', key));
    const noteOf = (size: number): string => {
      const root = new MerkleTree(leaves.slice(0, size).map(leafHash)).root();
      return signCheckpoint({ origin: key.name, size, root }, key);
    };
    const { home } = fed.member(1).parts;
    const witness = await witnessOf(home.paths, 'slow', { prove: proveOver(leaves), clock: CLOCK });
    const { drain, stop } = signals();
    const vouched: number[] = [];
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const agent = await agentOf({
      witness,
      vouch: async ({ size }) => {
        await answered;
        if (vouched.push(size) === 2) stop.abort(new MedleyError('INTERRUPTED', 'both'));
      },
      attend: async function* (signal) {
        for (const size of [1, 2]) {
          yield { body: 'checkpoint', checkpoint: { note: noteOf(size), verifierKey } };
        }
        // As the close of a round does, whose proof is against a newer checkpoint.
        await witness.observe({ note: noteOf(3), verifierKey, isNewest: false }, signal);
        answer();
        await never(signal);
      },
    });
    await agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 0 });
    expect(vouched).toEqual([1, 2]);
    await witness.check();
    expect(witness.head?.size).toBe(3);
  });

  test('one study that is refused does not stop another, nor does a broken task', async () => {
    const fed = (open = await Federation.open(3));
    fed.begin(0);
    const good = wire(fed.task(1)!);
    const unsigned = { ...good, key: { study: 'not-signed', round: 0, attempt: 1 } };
    const broken = { ...good, model: null };
    const { drain, stop } = signals();
    const logged: string[] = [];
    const { messages } = fed.member(1).parts;
    const done = new Set<string>();
    const step = (what: string): void => {
      if (done.add(what).size === 2) stop.abort(new MedleyError('INTERRUPTED', 'both'));
    };
    const agent = await agentOf({
      logger: collecting(logged),
      attend: async function* (signal) {
        yield { body: 'round', round: broken };
        yield { body: 'round', round: unsigned };
        yield { body: 'round', round: good };
        await never(signal);
      },
      messages: {
        ...messages,
        advertise: async (...call) => {
          await messages.advertise(...call);
          step('advertised');
        },
        withdraw: async (...call) => {
          await messages.withdraw(...call);
          step('withdrawn');
        },
      },
    });
    await agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 0 });
    expect(fed.coordinator.adverts.map(({ silo }) => silo)).toEqual([1]);
    expect(logged).toEqual(expect.arrayContaining(['RPC_MESSAGE_INVALID', 'STUDY_NOT_SIGNED']));
    expect(fed.member(1).withdrawn).toEqual(['STUDY_NOT_SIGNED']);
  });

  test('says which studies wait', async () => {
    const { drain, stop } = signals();
    const logged: string[] = [];
    const agent = await agentOf({
      logger: collecting(logged),
      attend: async function* (signal) {
        const study = { study: STUDY.name, state: 'proposed', charterHash: '' };
        yield { body: 'study', study };
        stop.abort(new MedleyError('INTERRUPTED', 'enough'));
        await never(signal);
      },
    });
    await agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 0 });
    expect(logged).toContain('proposed');
  });

  test('drains at once when nothing is open', async () => {
    const { drain, stop } = signals();
    const agent = await agentOf({
      attend: (signal) => ({ [Symbol.asyncIterator]: () => ({ next: () => never(signal) }) }),
    });
    const over = agent.run({ drain: drain.signal, stop: stop.signal, drainMs: 60_000 });
    drain.abort(new MedleyError('INTERRUPTED', 'SIGTERM'));
    await over;
  });
});

/** A logger that keeps codes and details. */
function collecting(lines: string[]): Logger {
  const keep = (_message: string, fields: LogFields = {}): void => {
    lines.push(...[fields.code, fields.detail].filter((text) => text !== undefined));
  };
  const logger: Logger = {
    ...silentLogger,
    info: keep,
    warn: keep,
    error: keep,
    with: () => logger,
  };
  return logger;
}
