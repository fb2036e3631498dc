import type {
  ApprovalRow,
  CertificateRow,
  CheckpointRow,
  CosignatureRow,
  ExclusionRow,
  InvitationRow,
  LogEntryRow,
  OperatorRow,
  RequestRow,
  RevokedKeyRow,
  RoundId,
  RoundRow,
  SignatureRow,
  SiloRow,
  SpendRow,
  StudyRow,
  TokenRow,
  WithdrawalRow,
  WitnessRow,
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

/** Certificates of silos by serial. */
export interface Certificates {
  get(serial: string): Promise<CertificateRow | undefined>;
  /** The one that a renewal was answered with. */
  ofRequest(requestHash: string): Promise<CertificateRow | undefined>;
  /** By time of issue, then serial, ascending. */
  of(silo: string): Promise<CertificateRow[]>;
  /** Every revoked one, by serial. */
  revoked(): Promise<CertificateRow[]>;
  put(row: CertificateRow): Promise<void>;
}

export interface RevokedKeys {
  has(identityKey: Uint8Array): Promise<boolean>;
  put(row: RevokedKeyRow): Promise<void>;
}

export interface Approvals {
  /** By operator, ascending. */
  of(requestId: string): Promise<ApprovalRow[]>;
  put(row: ApprovalRow): Promise<void>;
}

export interface Operators {
  get(name: string): Promise<OperatorRow | undefined>;
  /** By name, ascending. */
  list(): Promise<OperatorRow[]>;
  put(row: OperatorRow): Promise<void>;
}

export interface Tokens {
  get(id: string): Promise<TokenRow | undefined>;
  /** By time of creation, then id, ascending. */
  list(): Promise<TokenRow[]>;
  put(row: TokenRow): Promise<void>;
}

/** Single values by name. */
export interface Settings {
  get(name: string): Promise<string | undefined>;
  put(name: string, value: string): Promise<void>;
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

/** Who left a study that had started. */
export interface Withdrawals {
  /** By silo, ascending. */
  of(study: string): Promise<WithdrawalRow[]>;
  put(row: WithdrawalRow): Promise<void>;
}

/** Who takes no further part in a study, convicted of breaking the protocol. */
export interface Exclusions {
  /** By silo, ascending. */
  of(study: string): Promise<ExclusionRow[]>;
  put(row: ExclusionRow): Promise<void>;
}

/** What silos stated to have spent, one row a round and silo. */
export interface Spends {
  /** By round, then silo, ascending. */
  of(study: string): Promise<SpendRow[]>;
  put(row: SpendRow): Promise<void>;
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
  /** The one of exactly this size. */
  of(size: number): Promise<CheckpointRow | undefined>;
  /** By size, ascending. */
  list(): Promise<CheckpointRow[]>;
  /** Throws STORE_CONFLICT when one of that size exists. */
  append(row: CheckpointRow): Promise<void>;
}

/** Keys of witnesses, one a silo. */
export interface Witnesses {
  get(silo: string): Promise<WitnessRow | undefined>;
  /** Inserts or replaces. Throws STORE_CONFLICT for a key that another silo has. */
  put(row: WitnessRow): Promise<void>;
}

/** Cosignatures; append-only. */
export interface Cosignatures {
  /** Of one checkpoint, by silo, ascending. */
  of(size: number): Promise<CosignatureRow[]>;
  /** Throws STORE_CONFLICT when this silo's of that size exists. */
  append(row: CosignatureRow): Promise<void>;
}

/** Everything the aggregator remembers, by noun. */
export interface Tables {
  readonly silos: Silos;
  readonly invitations: Invitations;
  readonly requests: Requests;
  readonly certificates: Certificates;
  readonly revokedKeys: RevokedKeys;
  readonly approvals: Approvals;
  readonly operators: Operators;
  readonly tokens: Tokens;
  readonly settings: Settings;
  readonly studies: Studies;
  readonly signatures: Signatures;
  readonly withdrawals: Withdrawals;
  readonly exclusions: Exclusions;
  readonly spends: Spends;
  readonly rounds: Rounds;
  readonly log: LogEntries;
  readonly checkpoints: Checkpoints;
  readonly witnesses: Witnesses;
  readonly cosignatures: Cosignatures;
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
