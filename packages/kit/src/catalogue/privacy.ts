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
} as const satisfies CatalogueSection;
