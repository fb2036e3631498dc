/** The log as it lies in the aggregator's store. Nothing here can change it. */
export interface LogStore {
  /** Number of entries, whether a checkpoint covers them or not. */
  size(): Promise<number>;
  /** Canonical leaves of entries [from, to), in order; fewer when the log is shorter. */
  leaves(from: number, to: number): Promise<readonly Uint8Array[]>;
  /** Every checkpoint, oldest first. */
  checkpoints(): Promise<readonly StoredCheckpoint[]>;
  /** The newest checkpoint, or undefined before the first. */
  newestCheckpoint(): Promise<StoredCheckpoint | undefined>;
  /** Whether a silo's certificate is in force: enrolled and not revoked. */
  isEnrolled(silo: string, serial: string): Promise<boolean>;
  close(): void;
}

export interface StoredCheckpoint {
  readonly size: number;
  /** C2SP signed note. */
  readonly note: string;
}
