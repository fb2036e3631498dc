/** The log as it lies in the aggregator's store. Nothing here can change it. */
export interface LogStore {
  /**
   * Canonical leaves of entries [from, to), in order; fewer when the log is shorter. The caller owns
   * them. Throws AUDIT_STORE_UNREADABLE for a gap.
   */
  leaves(from: number, to: number): Promise<readonly Uint8Array[]>;
  /** The first `limit` checkpoints of more than `after` entries, oldest first. */
  checkpoints(after: number, limit: number): Promise<readonly StoredCheckpoint[]>;
  /** The newest checkpoint, or undefined before the first. */
  newestCheckpoint(): Promise<StoredCheckpoint | undefined>;
  /** Whether a silo's certificate (serial in lower-case hex) is in force: enrolled and not revoked. */
  isEnrolled(silo: string, serial: string): Promise<boolean>;
  /** Whether an operator's certificate is in force: an active account that honours the serial. */
  isOperator(name: string, serial: string): Promise<boolean>;
  close(): void;
}

/** A checkpoint as the aggregator stored it, not verified. */
export interface StoredCheckpoint {
  /** Entries that it covers. */
  readonly size: number;
  /** C2SP signed note, with the cosignatures that there are. */
  readonly note: string;
}
