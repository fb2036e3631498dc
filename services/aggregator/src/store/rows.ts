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
  /** Serial of the newest certificate, lower-case hex. */
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

/** A certificate of a silo; it is honoured while it is neither revoked nor past `untilMs`. */
export interface CertificateRow {
  /** Lower-case hex. */
  readonly serial: string;
  readonly silo: string;
  /** Who signed it: the operator's authority, or the renewal authority of this machine. */
  readonly issuer: 'authority' | 'renewals';
  readonly issuedMs: number;
  /** Its end; earlier when a renewal took its place. */
  readonly untilMs: number;
  /** Leaf, and the renewal authority when that signed it. */
  readonly chainPem: string;
  /** Of the renewal that asked for it, hex; the same renewal again gets the same certificate. */
  readonly requestHash: string | undefined;
  readonly revokedMs: number | undefined;
  /** Why it was revoked, RFC 5280 section 5.3.1. */
  readonly reason: string | undefined;
}

/** An identity key that was revoked: it enrols nobody again. */
export interface RevokedKeyRow {
  /** Raw Ed25519 public key, 32 bytes. */
  readonly identityKey: Uint8Array;
  readonly silo: string;
  readonly atMs: number;
}

/** One operator's word for an enrolment request. */
export interface ApprovalRow {
  readonly requestId: string;
  readonly operator: string;
  readonly atMs: number;
}

export type OperatorRole = 'viewer' | 'scientist' | 'operator' | 'auditor' | 'admin';

/** An operator's account. */
export interface OperatorRow {
  readonly name: string;
  readonly roles: readonly OperatorRole[];
  readonly state: 'active' | 'disabled';
  /** The one certificate that is honoured; any of this name when undefined. */
  readonly certificateSerial: string | undefined;
  readonly createdMs: number;
}

/** What a program that holds a token may do, within its operator's roles. */
export type TokenScope = 'read' | 'studies' | 'models' | 'invitations';

/** An API token; its secret is nowhere. */
export interface TokenRow {
  readonly id: string;
  readonly operator: string;
  /** What it is for, in its owner's words. */
  readonly label: string;
  /** SHA-256 of the secret, 32 bytes. */
  readonly secretHash: Uint8Array;
  readonly scopes: readonly TokenScope[];
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly revokedMs: number | undefined;
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
  /** Set while an active study opens no round. */
  readonly pausedMs: number | undefined;
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

/** A silo that left a study which had started. */
export interface WithdrawalRow {
  readonly study: string;
  readonly silo: string;
  /** Canonical JSON of the decision. */
  readonly statement: Uint8Array;
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array;
  readonly atMs: number;
}

/** A silo that takes no further part in a study because it is convicted of breaking the protocol. */
export interface ExclusionRow {
  readonly study: string;
  readonly silo: string;
  /** Where it was convicted. */
  readonly round: number;
  readonly attempt: number;
  /** Code of the catalogue. */
  readonly code: string;
  readonly atMs: number;
}

/** What a silo stated to have spent on one round. */
export interface SpendRow {
  readonly study: string;
  readonly silo: string;
  readonly round: number;
  /** Canonical JSON of the statement. */
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

/** A silo's key as a witness of the log. */
export interface WitnessRow {
  readonly silo: string;
  /** C2SP verifier key of type 0x04. */
  readonly verifierKey: string;
  /** The silo's identity key over the witness's statement, 64 bytes. */
  readonly signature: Uint8Array;
  readonly atMs: number;
}

/** One witness's word for one checkpoint. */
export interface CosignatureRow {
  /** Of the checkpoint. */
  readonly size: number;
  readonly silo: string;
  /** Signature line with its newline. */
  readonly line: string;
  readonly atMs: number;
}
