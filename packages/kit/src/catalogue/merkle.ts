import { EXIT, type CatalogueSection } from './section.ts';

/** Trees, proofs, checkpoints and tiles of the audit trail. */
export const MERKLE = {
  MERKLE_RANGE: {
    grpc: 'OUT_OF_RANGE',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A position or a size lies outside the audit trail.',
    remedy: 'Ask for an entry below the size of the latest checkpoint.',
  },
  MERKLE_PROOF_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A proof about the audit trail does not have the form it must have.',
    remedy: 'Fetch the proof again; if it stays so, report the party that sent it.',
  },
  MERKLE_INCLUSION_FAILED: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.integrity,
    sentence: 'The proof does not show that this entry is in the audit trail.',
    remedy:
      'Keep the entry, the proof and the checkpoint, and open an incident with the log operator.',
  },
  MERKLE_CONSISTENCY_FAILED: {
    grpc: 'FAILED_PRECONDITION',
    http: 422,
    exit: EXIT.integrity,
    sentence: 'The audit trail does not continue the history that was seen before.',
    remedy: 'Keep both checkpoints and the proof, stop relying on the log and open an incident.',
  },
  MERKLE_NOTE_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A signed note does not have the form it must have.',
    remedy: 'Fetch the note again without changing a byte of it.',
  },
  MERKLE_KEY_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A key of the audit trail cannot be used.',
    remedy: 'Copy the verifier key again, whole, from the party that owns it.',
  },
  MERKLE_SIGNATURE_INVALID: {
    grpc: 'UNAUTHENTICATED',
    http: 403,
    exit: EXIT.integrity,
    sentence: 'A signature on a checkpoint is wrong.',
    remedy: 'Keep the checkpoint as evidence and ask the signer whether the key has changed.',
  },
  MERKLE_SIGNATURE_MISSING: {
    grpc: 'UNAUTHENTICATED',
    http: 403,
    exit: EXIT.integrity,
    sentence: 'A checkpoint does not carry the signature of the log.',
    remedy: 'Check that the verifier key configured here is the one of this log.',
  },
  MERKLE_CHECKPOINT_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A checkpoint does not have the form it must have.',
    remedy: 'Fetch the checkpoint again without changing a byte of it.',
  },
  MERKLE_TILE_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A stored piece of the audit trail does not have the form it must have.',
    remedy: 'Fetch the piece again; if it stays so, restore it from another copy.',
  },
  MERKLE_ENTRY_TOO_LARGE: {
    grpc: 'INVALID_ARGUMENT',
    http: 413,
    exit: EXIT.integrity,
    sentence: 'An entry is too large for the audit trail.',
    remedy: 'Record the hash of the large part and keep the part itself beside the log.',
  },
  MERKLE_ROOT_MISMATCH: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'The entries do not add up to the checkpoint that was signed over them.',
    remedy: 'Keep the copy as it is, compare it with another one and open an incident.',
  },
} as const satisfies CatalogueSection;
