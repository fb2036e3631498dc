import {
  systemClock,
  systemRng,
  takeLock,
  writeDurably,
  type Logger,
  type ProcessTable,
} from '@medley/kit';
import { createMasker } from '@medley/secagg';
import { createAggregator, publicEndpoints } from './app.ts';
import { openBlobs } from './blob/blobs.ts';
import type { AggregatorConfig } from './config.ts';
import { readKeys } from './keys.ts';
import { cachedStore } from './store/cached.ts';
import { prismaStore } from './store/prisma.ts';

/**
 * Every write is a transaction with a sync of its own, which five hospitals on one fast network would
 * otherwise cause five of in every step. On a slow one nothing is gained and 15 ms are not noticed.
 */
const GATHER_MS = 15;

/** What serving needs of the process. */
export interface ServeOptions {
  readonly config: AggregatorConfig;
  readonly logger: Logger;
  readonly processes: ProcessTable;
  /** Cores that masks may be taken out on. */
  readonly threads: number;
  /** Settles when it is time to stop. */
  readonly stopped: Promise<unknown>;
}

/**
 * Serves until told to stop. Two aggregators on one database would each sign a log of their own, so
 * only one may. Throws AGGREGATOR_RUNNING, FILE_UNREADABLE, FILE_UNWRITABLE, CONFIG_INVALID, and as
 * `createAggregator` and `prismaStore` do.
 */
export async function serve({
  config,
  logger,
  processes,
  threads,
  stopped,
}: ServeOptions): Promise<void> {
  const keys = await readKeys(config);
  const lock = await takeLock(`${config.database}.lock`, processes, 'AGGREGATOR_RUNNING');
  try {
    const store = cachedStore(await prismaStore(config.database, systemClock.nowMs()));
    const masker = createMasker({ threads });
    try {
      const blobs = await openBlobs(config.blobs, systemRng);
      const system = { clock: systemClock, rng: systemRng };
      const parts = { ...system, config, logger, store, blobs, masker, keys, gatherMs: GATHER_MS };
      const aggregator = await createAggregator(parts);
      const endpoints = { ...publicEndpoints(config, aggregator), pid: processes.pid };
      await writeDurably(config.endpointsFile, `${JSON.stringify(endpoints)}\n`);
      logger.info('listening', { address: endpoints.rounds });
      await stopped;
      logger.info('stopping');
      await aggregator.close();
    } finally {
      await masker.close();
      await store.close();
    }
  } finally {
    await lock.release();
  }
}
