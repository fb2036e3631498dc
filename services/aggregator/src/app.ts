import type { Clock, Logger, Rng } from '@medley/kit';
import type { LogKey } from '@medley/merkle';
import { spkiPin } from '@medley/pki';
import { formatAddress, startServer, type RunningServer } from '@medley/rpc';
import type { Masker } from '@medley/secagg';
import { encodeEvent } from '@medley/trail';
import type { Blobs } from './blob/blobs.ts';
import type { AggregatorConfig } from './config.ts';
import { EnrolmentDesk } from './enrolment/enrolment.ts';
import { runCheckpoints } from './log/checkpoints.ts';
import { Ledger } from './log/ledger.ts';
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
import type { Store } from './store/store.ts';
import { Agreements } from './studies/agreement.ts';
import { StudyDesk } from './studies/desk.ts';

/** The aggregator's secrets and certificates, read. */
export interface AggregatorKeys {
  readonly tlsKeyPem: string;
  /** Leaf first, up to and including the CA. */
  readonly tlsChainPem: string;
  readonly caPem: string;
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
  readonly keys: AggregatorKeys;
}

/** A running aggregator. Addresses are `host:port` with the ports that were bound. */
export interface Aggregator {
  readonly enrolmentAddress: string;
  readonly roundsAddress: string;
  close(): Promise<void>;
}

/**
 * Starts the aggregator: checks the log, goes on with the rounds that were open, listens. Throws
 * LOG_CORRUPT, STORE_*, RPC_LISTEN_FAILED, RPC_TLS_REFUSED.
 */
export async function createAggregator(options: AggregatorOptions): Promise<Aggregator> {
  const { config, clock, rng, logger, store, blobs, masker, keys } = options;
  const { consortium, floors } = config;
  const { caPem, logKey: key } = keys;
  const ledger = await Ledger.open({ store, key, consortium, clock, encode: encodeEvent });
  await recordCreation(ledger, caPem);
  const agreements = new Agreements();
  const changed = new Signal();
  const presence = new Presence(clock, config);
  const { keepMaskedVectors } = config;
  const rounds = {
    ...{ store, blobs, masker, ledger, clock, logger, agreements, presence, changed },
    keepMaskedVectors,
  };
  const book = await RoundBook.load(rounds);
  const progress = new Progress(rounds, book);
  const desk = new StudyDesk({ store, ledger, clock, agreements });
  const library = new Library(store, agreements);
  const tasks = new Tasks(rounds, book);
  const enrolment = new EnrolmentDesk({ store, ledger, clock, rng, consortium, caPem });
  const shared = { ...rounds, book, desk, library, enrolment, consortium };
  const services = {
    enrolment: [enrolmentService(enrolment)],
    rounds: [
      roundsService({ ...shared, tasks, inbox: new Inbox(rounds, book) }),
      adminService({
        ...shared,
        floors: { ...floors, minSilos: floors.minRoster },
        maxModelBytes: config.limits.maxModelBytes,
      }),
    ],
  };
  const servers = await listen(options, services);
  const stop = new AbortController();
  const work = Promise.all([
    runScheduler({ progress, changed, clock, logger }, stop.signal),
    runCheckpoints(
      ledger,
      { everyMs: config.checkpointSeconds * 1000, clock, logger },
      stop.signal,
    ),
  ]);
  return {
    enrolmentAddress: servers.enrolment.address,
    roundsAddress: servers.rounds.address,
    close: async () => {
      await Promise.all([servers.enrolment.close(), servers.rounds.close()]);
      stop.abort();
      await work;
      await progress.idle();
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
      data: { caPin: spkiPin(caPem), logKey: ledger.identity.verifierKey },
    });
  });
  await ledger.checkpoint();
}

async function listen(
  { config, logger, store, keys }: AggregatorOptions,
  services: Readonly<Record<'enrolment' | 'rounds', Parameters<typeof startServer>[0]['services']>>,
): Promise<{ readonly enrolment: RunningServer; readonly rounds: RunningServer }> {
  const tls = { keyPem: keys.tlsKeyPem, certChainPem: keys.tlsChainPem, caPem: keys.caPem };
  const { consortium } = config;
  const start = (name: 'enrolment' | 'rounds'): Promise<RunningServer> =>
    startServer({
      address: config.listen[name],
      tls: { ...tls, requireClientCertificate: name === 'rounds' },
      services: services[name],
      authorise: (context) => authorise({ store, consortium }, context),
      logger,
    });
  const enrolment = await start('enrolment');
  try {
    return { enrolment, rounds: await start('rounds') };
  } catch (cause) {
    await enrolment.close();
    throw cause;
  }
}

/** What silos and operators dial: the public host with the ports that were bound. */
export function publicEndpoints(
  config: AggregatorConfig,
  aggregator: Aggregator,
): { readonly enrolment: string; readonly rounds: string } {
  const at = (address: string): string =>
    formatAddress({
      host: config.publicHost,
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
    });
  return { enrolment: at(aggregator.enrolmentAddress), rounds: at(aggregator.roundsAddress) };
}
