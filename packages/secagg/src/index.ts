export {
  addInto,
  hashVector,
  requireLittleEndian,
  subtractFrom,
  vectorBytes,
  vectorFromBytes,
} from './arithmetic/ring.ts';
export { applyMean, weightedMean } from './arithmetic/mean.ts';
export { decodeSum, encodeVector, slotStep } from './arithmetic/quantize.ts';
export {
  FIELD_PRIME,
  combine,
  lagrangeAt,
  lagrangeAtZero,
  splitSecret,
  type Share,
} from './arithmetic/shamir.ts';
export { accept, type CoordinatorEvent } from './coordinator/accept.ts';
export {
  awaitedSilos,
  closePhase,
  deliverables,
  isPhaseFull,
  type Deliverable,
} from './coordinator/phase.ts';
export {
  openCoordinator,
  sharersOf,
  survivorsOf,
  type Abort,
  type CoordinatorPhase,
  type CoordinatorState,
} from './coordinator/state.ts';
export { deserializeCoordinator, serializeCoordinator } from './coordinator/stored.ts';
export {
  counterMasks,
  brokenSharers,
  planUnmask,
  removeMasks,
  type Blame,
  type UnmaskPlan,
} from './coordinator/unmask.ts';
export { evidenceOf, sharingEvidence } from './coordinator/evidence.ts';
export {
  deserializeSharing,
  judgeSharing,
  serializeSharing,
  type SharingEvidence,
} from './dispute/sharing.ts';
export { deserializeEvidence, judge, serializeEvidence, type Evidence } from './dispute/judge.ts';
export { BOX_BYTES } from './crypto/boxes.ts';
export { verifyIdentity, type IdentitySigner } from './crypto/keys.ts';
export { threadMasker, type Masker } from './crypto/masker.ts';
export { applyMask, applyMasks, type Mask } from './crypto/masks.ts';
export { createMasker } from './crypto/pool.ts';
export {
  decodeReceipt,
  makeReceipt,
  receiptToJson,
  verifyReceipt,
  type RoundReceipt,
} from './receipt.ts';
export {
  MAX_ROSTER,
  checkTerms,
  defaultThreshold,
  layoutLength,
  quorum,
  rosterEntry,
  sessionId,
  termsDocument,
  termsHash,
  type RosterEntry,
  type SessionTerms,
  type Slot,
  type VectorLayout,
} from './session.ts';
export { mask, maskWith, type MaskedVector } from './silo/mask.ts';
export { complain } from './silo/complain.ts';
export { confirm, release } from './silo/release.ts';
export { advertise, share } from './silo/share.ts';
export {
  checkRetry,
  type AdvertisedSilo,
  type ConfirmedSilo,
  type MaskedSilo,
  type ReleasedSilo,
  type SharedSilo,
  type SiloState,
} from './silo/state.ts';
export { deserializeSilo, serializeSilo } from './silo/stored.ts';
export {
  isPlain,
  packVector,
  reduceVector,
  ringBitsOf,
  unpackVector,
  wireLength,
} from './wire/packed.ts';
export { plainHash, setHash } from './wire/frame.ts';
export {
  confirmationBytes,
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeShareDelivery,
  decodeSharesMessage,
  type Advert,
  type Complaint,
  type Confirmation,
  type DeliveredBox,
  type MaskedHeader,
  type Release,
  type ShareDelivery,
  type ShareOf,
  type SharesMessage,
  type Unsigned,
} from './wire/messages.ts';
