/** Rows as the domain sees them. Times are milliseconds since the epoch, hashes lower-case hex. */

export type SiloState = 'invited' | 'pending' | 'enrolled' | 'refused' | 'revoked';

/** A hospital of the consortium; it exists from its first invitation on. */
export interface SiloRow {
  readonly name: string;
  readonly state: SiloState;
  /** The newest enrolment request. */
  readonly requestId: string | undefined;
  /** Raw Ed25519 public key, 32 bytes; set once enrolled. */
  readonly identityKey: Uint8Array | undefined;
  /** Six words; empty before the first request. */
  readonly fingerprint: string;
  /** Serial of the one certificate that is honoured now, lower-case hex. */
  readonly certificateSerial: string | undefined;
  readonly certificateExpiresMs: number | undefined;
  /** 0 when never seen. */
  readonly lastSeenMs: number;
}

export interface InvitationRow {
  readonly id: string;
  readonly silo: string;
  /** SHA-256 of the token's secret, 32 bytes. */
  readonly secretHash: Uint8Array;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** The request that used it up. */
  readonly usedBy: string | undefined;
}

export type RequestState = 'pending' | 'approved' | 'refused';

export interface RequestRow {
  readonly id: string;
  readonly silo: string;
  readonly invitationId: string;
  readonly csrPem: string;
  readonly identityKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly fingerprint: string;
  readonly state: RequestState;
  readonly createdMs: number;
  /** Set when approved. */
  readonly certificatePem: string | undefined;
  /** Set when refused. */
  readonly reason: string | undefined;
}

export type StudyState = 'proposed' | 'active' | 'completed' | 'withdrawn' | 'expired';

export interface StudyRow {
  readonly name: string;
  readonly title: string;
  readonly state: StudyState;
  readonly charterHash: string;
  /** Canonical JSON. */
  readonly charter: Uint8Array;
  /** Exact bytes of study.yaml. */
  readonly studyFile: Uint8Array;
  /** Blob of the ONNX model. */
  readonly model: BlobName;
  /** Blob of the model state that the next round starts from. */
  readonly modelState: BlobName;
  readonly createdMs: number;
  readonly startedMs: number | undefined;
  readonly endedMs: number | undefined;
  /** Why it ended, when it ended otherwise than by its last round. */
  readonly reason: string | undefined;
}

/** Names a blob: SHA-256 in hex and size. */
export interface BlobName {
  readonly hash: string;
  readonly sizeBytes: number;
}

export interface SignatureRow {
  readonly study: string;
  readonly silo: string;
  readonly decision: 'signed' | 'refused';
  /** Canonical JSON of the decision. */
  readonly statement: Uint8Array;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  readonly atMs: number;
}

export type RoundKindName = 'statistics' | 'training' | 'evaluation';
export type RoundStep =
  'advertise' | 'share' | 'mask' | 'confirm' | 'release' | 'unmask' | 'closed' | 'aborted';

/** Names one run of the five steps. */
export interface RoundId {
  readonly study: string;
  readonly round: number;
  readonly attempt: number;
}

/** What a closed round left behind. */
export interface RoundOutcome {
  /** Canonical JSON of the receipt. */
  readonly receipt: Uint8Array;
  readonly aggregate: BlobName;
  readonly nextModel: BlobName;
  /** Canonical JSON of what the sum says apart from the update. */
  readonly metrics: Uint8Array;
  /** Where the log records it. */
  readonly leafIndex: number;
}

export interface RoundRow extends RoundId {
  readonly kind: RoundKindName;
  readonly step: RoundStep;
  readonly openedMs: number;
  readonly closedMs: number | undefined;
  readonly model: BlobName;
  /** The serialized state machine (rounds/codec.ts). */
  readonly state: Uint8Array;
  readonly outcome: RoundOutcome | undefined;
  readonly abortCode: string | undefined;
  /** Bytes of messages and blobs from silos and to them. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface LogEntryRow {
  readonly index: number;
  /** Canonical JSON of the event. */
  readonly leaf: Uint8Array;
  /** RFC 6962 leaf hash, 32 bytes. */
  readonly hash: Uint8Array;
}

export interface CheckpointRow {
  readonly size: number;
  /** Signed note. */
  readonly note: string;
}
