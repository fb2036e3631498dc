import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assembleAggregator,
  cachedStore,
  openBlobs,
  prismaStore,
  type AggregatorConfig,
  type AggregatorParts,
} from '@medley/aggregator';
import { ManualClock, seededRng, sha256, silentLogger, uniformInt, toHex, utf8 } from '@medley/kit';
import { logKeyFromSeed } from '@medley/merkle';
import type { Rng } from '@medley/kit';
import { threadMasker } from '@medley/secagg';
import { SERVER_LIMITS } from '@medley/rpc';
import { freshIdentity } from '../support/aggregator.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { SoakAgent, type Handler } from './agent.ts';
import { seat } from './enrolled.ts';
import { heldBytes, slope } from './memory.ts';

export interface AttendedResult {
  readonly agents: number;
  readonly minutes: number;
  readonly realSeconds: number;
  readonly heartbeats: number;
  /** Longest time without a word that an attending agent met, in simulated seconds. */
  readonly longestSilenceSeconds: number;
  readonly reconnections: number;
  readonly checkpoints: number;
  readonly cosignatures: number;
  /** Agents that did not vouch for the newest checkpoint, once nothing more was changed. */
  readonly behind: number;
  /** What the process holds after each simulated minute. */
  readonly heldBytes: readonly number[];
  /** Slope of the second half of it, bytes per simulated minute. */
  readonly growthPerMinute: number;
}

export interface AttendedOptions {
  readonly agents: number;
  readonly minutes: number;
  /** Folder for the database. */
  readonly work: string;
  readonly onMinute?: (minute: number, held: number) => void;
}

const START_MS = Date.parse('2026-11-23T08:00:00.000Z');
const STEP_MS = 1000;
/** Lease of a stream, after which a silo takes it for dead. */
const LEASE_MS = 15_000;
/** Turns of the event loop without news after which an aggregator counts as stuck. */
const PATIENCE_TURNS = 2_000_000;

/**
 * The real aggregator over its real database, and agents that attend, vouch for every checkpoint and
 * lose their connection now and then, while an operator changes something every minute. Time is
 * simulated, everything else is not. Throws when an agent hears nothing for a lease.
 */
export async function attended(options: AttendedOptions): Promise<AttendedResult> {
  const { agents: count, minutes, work, onMinute } = options;
  const folder = await mkdtemp(join(work, 'medley-soak-'));
  const beginMs = performance.now();
  const clock = new ManualClock(START_MS);
  const rng = seededRng('soak');
  const store = cachedStore(await prismaStore(join(folder, 'medley.db'), START_MS));
  const { caPem } = await createTestAuthority('test');
  const parts = await assembleAggregator({
    ...{ config: CONFIG, clock, rng, logger: silentLogger, store, masker: threadMasker },
    blobs: await openBlobs(join(folder, 'blobs'), rng),
    keys: {
      ...{ tlsKeyPem: '', tlsChainPem: '', caPem, crossPem: '' },
      renewals: async () => undefined,
      logKey: logKeyFromSeed('medley/test', sha256(utf8('log key of the soak'))),
    },
  });
  const identities = Array.from({ length: count }, freshIdentity);
  const seats = identities.map(({ publicKey }, i) => ({
    ...{ name: `silo-${i + 1}`, serial: (i + 1).toString(16).padStart(8, '0') },
    identityKey: publicKey,
  }));
  await seat(store, seats, START_MS);
  parts.start();
  const { rounds, admin } = handlersOf(parts);
  const agents = seats.map(
    (one, i) => new SoakAgent({ ...one, identity: identities[i]!, folder, clock, rounds }),
  );
  const run: Run = { clock, rng, agents, longestMs: 0, reconnections: 0 };
  const held: number[] = [];
  try {
    for (const agent of agents) agent.attend();
    for (let minute = 1; minute <= minutes; minute++) {
      await invite(admin, rng, clock, minute);
      for (let second = 0; second < 60; second++) await step(run);
      held.push(heldBytes());
      onMinute?.(minute, held.at(-1)!);
    }
    // The last change is signed within a minute, and told with the next heartbeat.
    for (let second = 0; second < 70; second++) await step(run);
    const newest = (await store.tables.checkpoints.list()).at(-1)?.size;
    const behind = agents.filter(({ vouchedSize }) => vouchedSize !== newest).length;
    const cosignatures = agents.reduce((sum, agent) => sum + agent.cosigned, 0);
    const checkpoints = (await store.tables.checkpoints.list()).length;
    return {
      ...{ agents: count, minutes, checkpoints, cosignatures, behind, heldBytes: held },
      realSeconds: (performance.now() - beginMs) / 1000,
      heartbeats: agents.reduce((sum, agent) => sum + agent.beats, 0),
      longestSilenceSeconds: run.longestMs / 1000,
      reconnections: run.reconnections,
      growthPerMinute: slope(held.slice(Math.floor(held.length / 2))),
    };
  } finally {
    await Promise.all(agents.map((agent) => agent.leave()));
    const closed = parts.close();
    // Whoever sleeps until a due time wakes and sees that it is over.
    clock.advance(LEASE_MS);
    await closed;
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
}

interface Run {
  readonly clock: ManualClock;
  readonly rng: Rng;
  readonly agents: readonly SoakAgent[];
  longestMs: number;
  reconnections: number;
}

/** One second: about one agent in three hundred loses its stream, and everybody is heard. */
async function step(run: Run): Promise<void> {
  const { clock, rng, agents } = run;
  for (const agent of agents) {
    if (uniformInt(rng, 300) > 0) continue;
    run.reconnections += 1;
    await agent.leave();
    agent.attend();
  }
  clock.advance(STEP_MS);
  const isOverdue = (agent: SoakAgent): boolean => clock.nowMs() - agent.heardMs > 5 * STEP_MS;
  for (let turns = 0; agents.some((agent) => isOverdue(agent) || agent.isBusy); turns++) {
    if (turns > PATIENCE_TURNS) throw new Error('the aggregator answers nobody any more');
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  for (const agent of agents) run.longestMs = Math.max(run.longestMs, agent.longestMs);
  if (run.longestMs > LEASE_MS) throw new Error('an agent heard nothing for a lease');
}

/** Something that the log must take, so that there is a new checkpoint. */
async function invite(
  admin: Readonly<Record<string, Handler>>,
  rng: Rng,
  clock: ManualClock,
  minute: number,
): Promise<void> {
  const request = {
    ...{ silo: `guest-${minute}`, invitationId: toHex(rng.bytes(8)) },
    ...{ secretHash: rng.bytes(32), expiresMs: String(clock.nowMs() + 3_600_000) },
  };
  await admin['invite']!(request, {
    peer: { role: 'operator', name: 'ada', consortium: 'test', serial: '' },
    signal: new AbortController().signal,
    metadata: undefined as never,
    ...{ method: 'Admin.invite', address: 'simulation' },
  });
}

function handlersOf({ services, authorise }: AggregatorParts) {
  const [rounds, admin] = services.rounds.map(
    ({ handlers }) => handlers as Readonly<Record<string, Handler>>,
  );
  return { rounds: { handlers: rounds!, authorise }, admin: admin! };
}

const CONFIG: AggregatorConfig = {
  ...{ apiVersion: 'medley/v1', kind: 'Aggregator', consortium: 'test', database: '', blobs: '' },
  ...{ tls: { key: '', certificate: '', ca: '' }, logKey: '' },
  renewal: { key: '', certificate: '', days: 7, overlapMinutes: 60 },
  ...{ founders: ['ada'], approvals: 1, publicHost: '127.0.0.1', endpointsFile: '' },
  listen: { enrolment: '', rounds: '' },
  floors: { minSurvivors: 3, minRoster: 3, minPatients: 1 },
  ...{ checkpointSeconds: 60, witnessQuorum: '2/3', disconnectGraceMs: 2000 },
  ...{ startGraceMs: 10_000, keepMaskedVectors: false, logLevel: 'silent' },
  limits: { ...SERVER_LIMITS, handshakeSeconds: 10, maxModelBytes: 2 ** 20 },
};
