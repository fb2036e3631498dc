import { EXIT, type CatalogueSection } from './section.ts';

/** What an operator's command line can meet. */
export const OPERATOR = {
  OPERATOR_HOME_MISSING: {
    grpc: 'FAILED_PRECONDITION',
    http: 400,
    exit: EXIT.config,
    sentence: "There is no operator's home in this folder.",
    remedy: 'Create a consortium with `medley consortium init`, or name its folder with --home.',
  },
  OPERATOR_HOME_EXISTS: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.config,
    sentence: 'The folder already holds a consortium.',
    remedy: 'Choose another --home; an authority is never overwritten.',
  },
  OPERATOR_ADMITTANCE: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: "The administrator's answer does not fit this operator's key.",
    remedy: 'Use the file that was made for the request of this very home.',
  },
  BACKUP_EXISTS: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.usage,
    sentence: 'Something is there already, and nothing is overwritten.',
    remedy: 'Name another folder, or move the one that is there away.',
  },
  BACKUP_DAMAGED: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'A file of the backup is not what it was when the backup was made.',
    remedy: 'Use another backup, and empty the homes first if some were written.',
  },
  BACKUP_OUTSIDE: {
    grpc: 'FAILED_PRECONDITION',
    http: 400,
    exit: EXIT.config,
    sentence: "The aggregator's store lies outside its home.",
    remedy:
      'Move database and blobs below the home of the aggregator, or back them up by other means.',
  },
  OPERATOR_SERVER_DOWN: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: EXIT.network,
    sentence: 'The server has not said where it listens.',
    remedy: 'Start it first: `medley-aggregator serve` and `medley-audit serve`.',
  },
  OPERATOR_PASSPHRASE_MISSING: {
    grpc: 'FAILED_PRECONDITION',
    http: 400,
    exit: EXIT.identity,
    sentence: "The authority's key is encrypted and no passphrase was given.",
    remedy: 'Write the passphrase into a file of mode 0600 and name it with --passphrase-file.',
  },
  OPERATOR_REQUEST_FORGED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.integrity,
    sentence: 'An enrolment request is not signed by the key that it names.',
    remedy: 'Do not approve it. Invite the silo again and look into the aggregator.',
  },
  OPERATOR_FINGERPRINT_DIFFERS: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.identity,
    sentence: 'The fingerprint is not the one you were told.',
    remedy: 'Call the hospital at a number you already had and compare all six words again.',
  },
} as const satisfies CatalogueSection;
