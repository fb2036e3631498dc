import { cpSync } from 'node:fs';
import { join } from 'node:path';
import {
  assembleAggregator,
  cachedStore,
  openBlobs,
  type AggregatorConfig,
  type AggregatorParts,
  type Blobs,
  type RoundRow,
  type Store,
  type StudyRow,
  type Tables,
} from '@medley/aggregator';
import { MedleyError, seededRng, silentLogger, type Logger } from '@medley/kit';
import type { LogKey } from '@medley/merkle';
import type { CallContext } from '@medley/rpc';
import { threadMasker } from '@medley/secagg';
import { storeOver } from '../../services/aggregator/src/store/prisma.ts';
import { openSqlite } from '../../services/aggregator/src/store/sqlite.ts';
import type { MomentKind, StepName } from './moment.ts';
import { stepOfRow } from './moment.ts';
import { never, type Life, type SimTime } from './time.ts';

type SqliteClient = Awaited<ReturnType<typeof openSqlite>>;

/** What all incarnations of the aggregator have in common. */
export interface HubSetup {
  readonly config: AggregatorConfig;
  readonly caPem: string;
  readonly logKey: LogKey;
  readonly time: SimTime;
  readonly seed: string;
  readonly gatherMs: number;
  readonly logger?: Logger;
  /** Told before the next instruction runs; may kill this hub. */
  readonly onMoment: (kind: MomentKind, step: StepName, round: number) => void;
  /** Told of every committed change of the study. */
  readonly onStudy: (row: StudyRow) => void;
}

/** Pages that a database may have: as good as no limit (sqlite.org/limits.html). */
const ENDLESS_PAGES = 1_073_741_823;

/**
 * One life of the aggregator: the real parts over the real database in a folder of its own. Killing it
 * copies the folder as it is at that instant; whatever the dead one still does reaches nobody.
 */
export class Hub {
  readonly life: Life = { isAlive: true, skewMs: 0 };
  readonly folder: string;
  readonly died: Promise<void>;
  readonly #setup: HubSetup;
  #client!: SqliteClient;
  #store!: Store;
  #parts!: AggregatorParts;
  #tellDeath: () => void = () => undefined;
  #busy = 0;
  #areBlobsFull = false;

  private constructor(setup: HubSetup, folder: string) {
    this.#setup = setup;
    this.folder = folder;
    this.died = new Promise((resolve) => (this.#tellDeath = resolve));
  }

  static async start(setup: HubSetup, folder: string, skewMs = 0): Promise<Hub> {
    const hub = new Hub(setup, folder);
    hub.life.skewMs = skewMs;
    await hub.#open();
    return hub;
  }

  get isBusy(): boolean {
    return this.life.isAlive && this.#busy > 0;
  }

  /** The tables as they are on disk. */
  get tables(): Tables {
    return this.#store.tables;
  }

  /** Makes every write that needs more room fail, until it is called again. */
  async fillDisk(isFull: boolean): Promise<void> {
    await this.#client.execute(`PRAGMA max_page_count = ${isFull ? 1 : ENDLESS_PAGES}`);
  }

  fillBlobs(isFull: boolean): void {
    this.#areBlobsFull = isFull;
  }

  /** A handler of the listener for rounds, after the check of who calls. */
  async handle(method: string, context: Omit<CallContext, 'method'>): Promise<unknown> {
    const call = { ...context, method: `Rounds.${method}` };
    await this.#parts.authorise(call);
    return (request: unknown) => this.#handlers(0)[method]!(request, call);
  }

  /** A handler of the operator's service, unchecked. */
  operate(method: string, request: unknown, context: CallContext): unknown {
    return this.#handlers(1)[method]!(request, context);
  }

  /** SIGKILL: the folder as it stands now is all that is left, in `next`. */
  kill(next: string): void {
    this.life.isAlive = false;
    cpSync(this.folder, next, { recursive: true });
    this.#tellDeath();
  }

  /** Closes the database once nothing runs; the hub is dead afterwards. */
  async discard(): Promise<void> {
    this.life.isAlive = false;
    this.#tellDeath();
    await this.#store.close();
  }

  #handlers(place: number): Record<string, (request: unknown, context: CallContext) => unknown> {
    return this.#parts.services.rounds[place]!.handlers as never;
  }

  async #open(): Promise<void> {
    const { config, caPem, logKey, time, seed, gatherMs, logger } = this.#setup;
    const file = join(this.folder, 'medley.db');
    this.#client = await openSqlite(file);
    this.#store = storeOver(this.#client);
    const rng = seededRng(`${seed} hub ${this.folder.slice(-2)}`);
    this.#parts = await assembleAggregator({
      config,
      clock: time.of(this.life),
      rng,
      logger: logger ?? silentLogger,
      store: cachedStore(this.#watched(this.#store)),
      blobs: this.#watchedBlobs(await openBlobs(join(this.folder, 'blobs'), rng)),
      masker: threadMasker,
      gatherMs,
      keys: {
        tlsKeyPem: '',
        tlsChainPem: '',
        caPem,
        crossPem: '',
        renewals: async () => undefined,
        logKey,
      },
    });
    this.#parts.start();
  }

  /** Nothing of a dead process goes on. */
  async #alive<T>(work: () => Promise<T>): Promise<T> {
    if (!this.life.isAlive) return never();
    this.#busy += 1;
    try {
      const result = await work();
      return await (this.#isDead() ? never() : result);
    } catch (caught) {
      if (this.#isDead()) return await never();
      throw caught;
    } finally {
      this.#busy -= 1;
    }
  }

  #nowMs(): number {
    return this.#setup.time.of(this.life).nowMs();
  }

  #isDead(): boolean {
    return !this.life.isAlive;
  }

  #moment(kind: MomentKind, step: StepName, round: number): void {
    if (this.life.isAlive) this.#setup.onMoment(kind, step, round);
  }

  #watched(store: Store): Store {
    const reading = wrapTables(store.tables, (call) => this.#alive(call));
    return {
      tables: {
        ...reading,
        checkpoints: {
          ...reading.checkpoints,
          append: async (row) => {
            this.#moment('begin', 'close', -1);
            await this.#alive(() => store.tables.checkpoints.append(row));
            this.#moment('end', 'close', -1);
            if (this.#isDead()) await never();
          },
        },
      },
      transaction: (work) => this.#transaction(store, work),
      close: () => store.close(),
    };
  }

  async #transaction<T>(store: Store, work: (tables: Tables) => Promise<T>): Promise<T> {
    let row: RoundRow | undefined;
    let study: StudyRow | undefined;
    const result = await this.#alive(() =>
      store.transaction(async (tables) => {
        const done = await work({
          ...tables,
          rounds: {
            ...tables.rounds,
            put: async (given) => {
              row = given;
              await tables.rounds.put(given);
            },
          },
          studies: {
            ...tables.studies,
            put: async (given) => {
              study = given;
              await tables.studies.put(given);
            },
          },
        });
        if (row) this.#moment('begin', this.#rowStep(row), row.round);
        // Killed before the commit: the transaction is rolled back by whoever opens the file next.
        if (this.#isDead()) throw killed();
        return done;
      }),
    );
    if (row) this.#moment('end', this.#rowStep(row), row.round);
    if (study && this.life.isAlive) this.#setup.onStudy(study);
    return this.#isDead() ? never() : result;
  }

  #rowStep(row: RoundRow): StepName {
    const isNew = row.step === 'advertise' && row.openedMs === this.#nowMs();
    return isNew ? 'open' : stepOfRow(row.step);
  }

  #watchedBlobs(blobs: Blobs): Blobs {
    const placing = async <T>(step: StepName, work: () => Promise<T>): Promise<T> => {
      if (this.#areBlobsFull) throw new MedleyError('FILE_UNWRITABLE', 'the disk is full (ENOSPC)');
      this.#moment('put', step, -1);
      const done = await this.#alive(work);
      this.#moment('placed', step, -1);
      return this.#isDead() ? never() : done;
    };
    return {
      write: (bytes) => placing('unmask', () => blobs.write(bytes)),
      // Not counted as busy: its pieces come over the network, which takes time.
      receive: async (pieces, expected) => {
        if (this.#areBlobsFull) {
          throw new MedleyError('FILE_UNWRITABLE', 'the disk is full (ENOSPC)');
        }
        const done = await blobs.receive(this.#lastPiece(pieces), expected);
        this.#moment('placed', 'mask', -1);
        return this.#isDead() ? never() : done;
      },
      sizeOf: (hash) => blobs.sizeOf(hash),
      read: (hash, offset) => blobs.read(hash, offset),
      readAll: (hash) => blobs.readAll(hash),
      forEach: (hash, use) => blobs.forEach(hash, use),
      verify: (hash) => blobs.verify(hash),
      remove: (hash) => (this.#isDead() ? never() : blobs.remove(hash)),
    };
  }

  async *#lastPiece(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield* pieces;
    this.#moment('put', 'mask', -1);
    // Ends the upload, so that its file is closed; who hears of it is dead.
    if (this.#isDead()) throw killed();
  }
}

function killed(): MedleyError {
  return new MedleyError('INTERRUPTED', 'killed');
}

type Methods = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;

function wrapTables(
  tables: Tables,
  wrap: (call: () => Promise<unknown>) => Promise<unknown>,
): Tables {
  const nouns = Object.entries(tables) as [string, Methods][];
  // Same nouns and methods as went in.
  return Object.fromEntries(
    nouns.map(([noun, methods]) => [
      noun,
      Object.fromEntries(
        Object.entries(methods).map(([name, method]) => [
          name,
          (...args: unknown[]) => wrap(() => method(...args)),
        ]),
      ),
    ]),
  ) as unknown as Tables;
}
