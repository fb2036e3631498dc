import type { Clock, Logger, Rng } from '@medley/kit';
import type { LogKey } from '@medley/merkle';
import { readAuthorities, type Authority } from '@medley/pki';
import {
  formatAddress,
  startServer,
  type RunningServer,
  type Served,
  type ServerOptions,
} from '@medley/rpc';
import type { Masker } from '@medley/secagg';
import { encodeEvent } from '@medley/trail';
import type { Blobs } from './blob/blobs.ts';
import type { AggregatorConfig } from './config.ts';
import { AccountDesk } from './accounts/accounts.ts';
import { TokenDesk } from './accounts/tokens.ts';
import { EnrolmentDesk } from './enrolment/enrolment.ts';
import { RenewalDesk } from './enrolment/renewal.ts';
import { RevocationDesk } from './enrolment/revocation.ts';
import { runCheckpoints } from './log/checkpoints.ts';
import { Ledger } from './log/ledger.ts';
import { readQuorum, WitnessDesk } from './log/witnesses.ts';
import { RoundBook } from './rounds/book.ts';
import { Inbox } from './rounds/inbox.ts';
import { Presence } from './rounds/presence.ts';
import { Progress } from './rounds/progress.ts';
import { runScheduler } from './rounds/scheduler.ts';
import { Signal } from './rounds/signal.ts';
import { Tasks } from './rounds/tasks.ts';
import { authorise } from './rpc/access.ts';
import { adminService } from './rpc/admin.ts';
import { enrolmentService } from './rpc/enrolment.ts';
import { Library } from './rpc/library.ts';
import { roundsService } from './rpc/rounds.ts';
import { Sessions } from './rpc/sessions.ts';
import type { Store } from './store/store.ts';
import { Agreements } from './studies/agreement.ts';
import { StudyDesk } from './studies/desk.ts';
import { Lifecycle } from './studies/lifecycle.ts';

/** The aggregator's secrets and certificates, read. */
export interface AggregatorKeys {
  readonly tlsKeyPem: string;
  /** Leaf first, up to and including the CA. */
  readonly tlsChainPem: string;
  /** The consortium's authorities. */
  readonly caPem: string;
  /** The older authority's word for the newer one; empty when there is one authority. */
  readonly crossPem: string;
  /** The renewal authority as it is now. */
  readonly renewals: () => Promise<Authority | undefined>;
  /** Named like the log's origin, `medley/<consortium>`. */
  readonly logKey: LogKey;
}

export interface AggregatorOptions {
  readonly config: AggregatorConfig;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Stays the caller's to close, after the aggregator. */
  readonly store: Store;
  readonly blobs: Blobs;
  /** Stays the caller's to close, after the aggregator. */
  readonly masker: Masker;
  /** How long messages wait to be written together, in milliseconds; 0 when absent. */
  readonly gatherMs?: number;
  readonly keys: AggregatorKeys;
}

/** A running aggregator. Addresses are `host:port` with the ports that were bound. */
export interface Aggregator {
  readonly enrolmentAddress: string;
  readonly roundsAddress: string;
  /** Undefined where there is no listener for tokens. */
  readonly apiAddress: string | undefined;
  close(): Promise<void>;
}

/** An aggregator without its listeners. */
export interface AggregatorParts {
  /** What each listener serves. */
  readonly services: Readonly<Record<Listener, readonly Served[]>>;
  /** Admits calls of every listener or refuses them. */
  readonly authorise: NonNullable<ServerOptions['authorise']>;
  /** Begins to move rounds and to sign checkpoints. */
  start(): void;
  /** Resolves when what was begun is written. */
  close(): Promise<void>;
}

/**
 * Starts the aggregator: checks the log, goes on with the rounds that were open, listens. Throws
 * LOG_CORRUPT, STORE_*, RPC_LISTEN_FAILED, RPC_TLS_REFUSED.
 */
export async function createAggregator(options: AggregatorOptions): Promise<Aggregator> {
  const parts = await assembleAggregator(options);
  const servers = await listen(options, parts);
  parts.start();
  return {
    enrolmentAddress: servers.enrolment.address,
    roundsAddress: servers.rounds.address,
    apiAddress: servers.api?.address,
    close: async () => {
      await Promise.all(Object.values(servers).map((server) => server.close()));
      await parts.close();
    },
  };
}

/** Everything but the sockets, for {@link createAggregator} and for simulations. Throws LOG_CORRUPT, STORE_*. */
export async function assembleAggregator(options: AggregatorOptions): Promise<AggregatorParts> {
  const { config, clock, rng, logger, store, blobs, masker, keys } = options;
  const { consortium, floors } = config;
  const { caPem, logKey: key } = keys;
  const ledger = await Ledger.open({ store, key, consortium, clock, encode: encodeEvent });
  await recordCreation(ledger, caPem);
  const agreements = new Agreements();
  // Rounds move when a silo comes or goes as well; the other silos' streams have nothing to tell of it.
  const moved = new Signal();
  const changed = new Signal(moved);
  const presence = new Presence(clock, config, moved);
  const { keepMaskedVectors } = config;
  const rounds = {
    ...{ store, blobs, masker, ledger, clock, logger, agreements, presence, changed },
    keepMaskedVectors,
    gatherMs: options.gatherMs ?? 0,
  };
  const book = await RoundBook.load(rounds);
  const progress = new Progress(rounds, book);
  const desk = new StudyDesk({ store, ledger, clock, agreements });
  const lifecycle = new Lifecycle({ store, ledger, clock, agreements, book });
  const library = new Library(store, agreements);
  const tasks = new Tasks(rounds, book);
  const { approvals, renewal: days } = config;
  const sessions = new Sessions();
  const { renewals, crossPem } = keys;
  const identity = { store, ledger, clock, rng, consortium, caPem, approvals, renewals, sessions };
  const enrolment = new EnrolmentDesk(identity);
  const terms = { days: days.days, overlapMs: days.overlapMinutes * 60_000 };
  const renewal = new RenewalDesk({ ...identity, terms });
  const revocation = new RevocationDesk({ ...identity, book, changed });
  const accounts = new AccountDesk(identity);
  await accounts.found(config.founders);
  await recordSetting(ledger, 'approvals', String(approvals));
  await recordSetting(ledger, 'witnessQuorum', config.witnessQuorum);
  const quorum = readQuorum(config.witnessQuorum);
  const witnesses = new WitnessDesk({ store, ledger, clock, consortium, quorum });
  const desks = { enrolment, renewal, revocation, accounts, tokens: new TokenDesk(identity) };
  const shared = { ...rounds, ...identity, ...desks, book, desk, lifecycle, library, witnesses };
  const admin = adminService({
    ...shared,
    floors: { ...floors, minSilos: floors.minRoster },
    maxModelBytes: config.limits.maxModelBytes,
  });
  const services = {
    enrolment: [enrolmentService({ ...shared, crossPem })],
    rounds: [roundsService({ ...shared, inbox: new Inbox(rounds, book), tasks }), admin],
    api: [admin],
  };
  const stop = new AbortController();
  let work: Promise<unknown> = Promise.resolve();
  return {
    services,
    authorise: (context) => authorise({ store, consortium, clock, sessions }, context),
    start: () => {
      const everyMs = config.checkpointSeconds * 1000;
      work = Promise.all([
        runScheduler({ progress, changed: moved, clock, logger }, stop.signal),
        runCheckpoints(ledger, { everyMs, clock, logger }, stop.signal),
      ]);
    },
    close: async () => {
      stop.abort();
      await work;
      await progress.idle();
      await book.close();
      await ledger.checkpoint();
    },
  };
}

/** The first leaf of every log says whose it is. */
async function recordCreation(ledger: Ledger, caPem: string): Promise<void> {
  if (ledger.size > 0) {
    // Leaves that a stopped process left without a checkpoint.
    await ledger.checkpoint();
    return;
  }
  await ledger.change(async ({ record }) => {
    await record({
      type: 'consortium.created',
      actor: { kind: 'aggregator', id: 'aggregator' },
      outcome: 'ok',
      data: {
        caPin: readAuthorities(caPem)[0]?.spkiSha256 ?? '',
        logKey: ledger.identity.verifierKey,
      },
    });
  });
  await ledger.checkpoint();
}

/** Says in the log when a setting that hospitals may want to know of is another than at the last start. */
async function recordSetting(ledger: Ledger, name: string, value: string): Promise<void> {
  await ledger.change(async ({ tables, record }) => {
    if ((await tables.settings.get(name)) === value) return;
    await tables.settings.put(name, value);
    const actor = { kind: 'aggregator', id: 'aggregator' } as const;
    await record({ type: 'consortium.setting', actor, outcome: 'ok', data: { name, value } });
  });
  await ledger.checkpoint();
}

type Listener = 'enrolment' | 'rounds' | 'api';
type Listeners<T> = Readonly<Record<'enrolment' | 'rounds', T>> & { readonly api?: T };

async function listen(
  { config, clock, logger, keys }: AggregatorOptions,
  { services, authorise }: AggregatorParts,
): Promise<Listeners<RunningServer>> {
  const tls = { keyPem: keys.tlsKeyPem, certChainPem: keys.tlsChainPem, caPem: keys.caPem };
  const { listen: at } = config;
  const limits = { ...config.limits, handshakeMs: config.limits.handshakeSeconds * 1000 };
  const running: Partial<Record<Listener, RunningServer>> = {};
  const start = async (name: Listener, address: string): Promise<RunningServer> =>
    (running[name] = await startServer({
      address,
      tls: { ...tls, requireClientCertificate: name === 'rounds' },
      services: services[name],
      authorise,
      logger,
      limits,
      clock,
    }));
  try {
    const enrolment = await start('enrolment', at.enrolment);
    const rounds = await start('rounds', at.rounds);
    if (at.api === undefined) return { enrolment, rounds };
    return { enrolment, rounds, api: await start('api', at.api) };
  } catch (cause) {
    await Promise.all(Object.values(running).map((server) => server.close()));
    throw cause;
  }
}

/** What silos and operators dial: the public host with the ports that were bound. */
export function publicEndpoints(
  config: AggregatorConfig,
  aggregator: Aggregator,
): { readonly enrolment: string; readonly rounds: string; readonly api?: string } {
  const at = (address: string): string =>
    formatAddress({
      host: config.publicHost,
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
    });
  const { enrolmentAddress, roundsAddress, apiAddress } = aggregator;
  return {
    enrolment: at(enrolmentAddress),
    rounds: at(roundsAddress),
    ...(apiAddress !== undefined && { api: at(apiAddress) }),
  };
}
