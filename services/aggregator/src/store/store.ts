import type {
  CheckpointRow,
  InvitationRow,
  LogEntryRow,
  RequestRow,
  RoundId,
  RoundRow,
  SignatureRow,
  SiloRow,
  StudyRow,
} from './rows.ts';

/** Silos by name. */
export interface Silos {
  get(name: string): Promise<SiloRow | undefined>;
  /** By name, ascending. */
  list(): Promise<SiloRow[]>;
  /** Inserts or replaces. */
  put(row: SiloRow): Promise<void>;
  /** Notes that the silo was heard of; unknown names change nothing. */
  touch(name: string, nowMs: number): Promise<void>;
}

export interface Invitations {
  get(id: string): Promise<InvitationRow | undefined>;
  put(row: InvitationRow): Promise<void>;
}

export interface Requests {
  get(id: string): Promise<RequestRow | undefined>;
  put(row: RequestRow): Promise<void>;
}

export interface Studies {
  get(name: string): Promise<StudyRow | undefined>;
  /** By time of proposal, then name, ascending. */
  list(): Promise<StudyRow[]>;
  put(row: StudyRow): Promise<void>;
}

export interface Signatures {
  get(study: string, silo: string): Promise<SignatureRow | undefined>;
  /** By silo, ascending. */
  of(study: string): Promise<SignatureRow[]>;
  put(row: SignatureRow): Promise<void>;
}

export interface Rounds {
  get(id: RoundId): Promise<RoundRow | undefined>;
  /** By round, then attempt, ascending. */
  of(study: string): Promise<RoundRow[]>;
  /** The attempt that was opened last. */
  newest(study: string): Promise<RoundRow | undefined>;
  /** The closed round with the highest number. */
  newestClosed(study: string): Promise<RoundRow | undefined>;
  /** Every attempt that is neither closed nor aborted. */
  open(): Promise<RoundRow[]>;
  /** Inserts or replaces. Throws STORE_CONFLICT when another attempt of the study is open. */
  put(row: RoundRow): Promise<void>;
  /** Adds to the byte counts of one attempt. */
  addBytes(id: RoundId, up: number, down: number): Promise<void>;
}

/** The leaves of the audit log; append-only. */
export interface LogEntries {
  count(): Promise<number>;
  /** Throws STORE_CONFLICT unless `row.index` is the next one. */
  append(row: LogEntryRow): Promise<void>;
  /** Entries [from, to), in order. */
  range(from: number, to: number): Promise<LogEntryRow[]>;
}

/** The signed checkpoints; append-only. */
export interface Checkpoints {
  newest(): Promise<CheckpointRow | undefined>;
  /** By size, ascending. */
  list(): Promise<CheckpointRow[]>;
  /** Throws STORE_CONFLICT when one of that size exists. */
  append(row: CheckpointRow): Promise<void>;
}

/** Everything the aggregator remembers, by noun. */
export interface Tables {
  readonly silos: Silos;
  readonly invitations: Invitations;
  readonly requests: Requests;
  readonly studies: Studies;
  readonly signatures: Signatures;
  readonly rounds: Rounds;
  readonly log: LogEntries;
  readonly checkpoints: Checkpoints;
}

/**
 * The port to the database. Rows that go in and come out are owned by the caller afterwards: a store
 * neither keeps a reference to what it was given nor hands out its own.
 */
export interface Store {
  /** Single reads and writes outside a transaction. */
  readonly tables: Tables;
  /**
   * Runs `work` so that all its changes are durable when the promise resolves and none happened when
   * it rejects. Transactions run one after the other. `work` uses only the tables it is given:
   * touching `this.tables` inside waits for the transaction itself.
   */
  transaction<T>(work: (tables: Tables) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
