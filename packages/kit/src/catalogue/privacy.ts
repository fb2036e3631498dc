import { EXIT, type CatalogueSection } from './section.ts';

/** Differential privacy: accounting and noise. */
export const PRIVACY = {
  PRIVACY_PARAMETERS_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.policy,
    sentence: 'These privacy parameters have no meaning.',
    remedy:
      'Give a sampling rate from 0 to 1, a noise multiplier from 0, whole steps, an epsilon from 0 and a delta between 0 and 1.',
  },
  PRIVACY_TARGET_OUT_OF_REACH: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.policy,
    sentence: 'No amount of noise meets this privacy target.',
    remedy: 'Ask for fewer steps, a lower sampling rate, or a larger epsilon or delta.',
  },
  PRIVACY_BUDGET_EXCEEDED: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The privacy budget of this data set does not allow this release.',
    remedy:
      'Look at medley-agent budget; plan more noise, fewer steps or a lower sampling rate, or end the study here.',
  },
  PRIVACY_RELEASE_REUSED: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.policy,
    sentence: 'Another release was already debited under this name.',
    remedy: 'Repeat a release exactly as it was debited, or give a new one a name of its own.',
  },
  PRIVACY_ADJACENCY_MIXED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'This release counts neighbouring data sets in another way than the ledger.',
    remedy: 'Count it by the adjacency that medley-agent budget shows for the data set.',
  },
  PRIVACY_LEDGER_DAMAGED: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'The privacy ledger of a data set is damaged, so nothing may be released from it.',
    remedy:
      'Restore the ledger from a backup that has its last release; never delete it, for what was spent stays spent.',
  },
  PRIVACY_STATEMENT_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A hospital’s statement of the privacy that it spent is missing or does not hold.',
    remedy: 'Compare the statement with the charter and the hospital’s own medley-agent budget.',
  },
  PRIVACY_LEDGER_BUSY: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: EXIT.temporary,
    sentence: 'Another program is writing to the privacy ledger.',
    remedy: 'Try again in a moment.',
  },
} as const satisfies CatalogueSection;
