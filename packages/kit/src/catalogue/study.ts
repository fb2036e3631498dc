import { EXIT, type CatalogueSection } from './section.ts';

/** Study files, charters, decisions, plans, model states and what a round's sum decodes to. */
export const STUDY = {
  STUDY_FILE_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'The study file does not describe a study.',
    remedy:
      'Mend the lines that the message names; docs/schemas/study.schema.json lists what is allowed.',
  },
  STUDY_ROUND_INVALID: {
    grpc: 'OUT_OF_RANGE',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'The study has no such round or attempt.',
    remedy: 'Compare the round with the count of rounds and attempts in the charter.',
  },
  STUDY_VALUES_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.data,
    sentence: 'What a silo was about to contribute does not fit the round.',
    remedy:
      'Check the local data and the training log; a diverged training needs a smaller learning rate.',
  },
  STUDY_WEIGHT_TOO_LARGE: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.data,
    sentence: 'The silo has more rows than the study allows one silo to contribute.',
    remedy: 'Raise secureAggregation.weightCap in the study file and have the new charter signed.',
  },
  STUDY_SUM_INVALID: {
    grpc: 'ABORTED',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The sum of the round cannot have come from silos that follow the charter.',
    remedy: 'Let the round be tried again; if it persists, compare the commitments of the silos.',
  },
  CHARTER_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'The charter does not have the form of a charter.',
    remedy: 'Ask the operator to propose the study again with this version of Medley.',
  },
  CHARTER_FLOOR_TOO_WEAK: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The study asks for weaker protection than the consortium allows.',
    remedy: 'Raise the value that the message names in the study file.',
  },
  CHARTER_PRIVACY_COST: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The rounds of the study cost more privacy than the study allows.',
    remedy: 'Plan more noise, fewer rounds or steps, a lower sampling rate, or a larger epsilon.',
  },
  CHARTER_PRIVACY_NOISE: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'Noise that hides a hospital does not fit this study.',
    remedy:
      'Read the arithmetic in the message: take more hospitals, fewer parameters, fewer bits or a larger epsilon, or privacy of level record.',
  },
  CHARTER_ROSTER_INVALID: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The roster of the study is too small, too large or names a silo or key twice.',
    remedy: 'Enrol at least three silos, each with its own identity key, and propose again.',
  },
  CHARTER_OVERFLOW: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.config,
    sentence: 'The sum over all silos would not fit into the ring of the secure aggregation.',
    remedy: 'Lower secureAggregation.bits or weightCap in the study file.',
  },
  CHARTER_MISMATCH: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The charter does not say what the study file and the model say.',
    remedy: 'Do not sign; ask the operator to propose the study again.',
  },
  CHARTER_EXPIRED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The study has expired.',
    remedy: 'Propose the study again with a later date and have the new charter signed.',
  },
  DECISION_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: "A silo's decision on a charter is malformed or belongs to another charter.",
    remedy: 'Decide again with the agent of that silo.',
  },
  MODEL_STATE_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'The bytes are not a state of this study’s model.',
    remedy: 'Fetch the state again; compare its hash with the one in the log.',
  },
  TRAIL_EVENT_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'An entry of the audit trail does not have the form of an event.',
    remedy:
      'Export the trail again; if it persists, treat the log as damaged and keep the evidence.',
  },
} as const satisfies CatalogueSection;
