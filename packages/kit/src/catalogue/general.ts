import { EXIT, type CatalogueSection } from './section.ts';

/** Configuration, usage and everything that belongs to no domain of its own. */
export const GENERAL = {
  INTERNAL: {
    grpc: 'INTERNAL',
    http: 500,
    exit: EXIT.unexpected,
    sentence: 'Something unexpected went wrong.',
    remedy: 'Read the log of the process that answered and report it with the correlation id.',
  },
  USAGE: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.usage,
    sentence: 'The command was called in a way it does not know.',
    remedy: 'Call it again with --help.',
  },
  INTERRUPTED: {
    grpc: 'CANCELLED',
    http: 499,
    exit: EXIT.interrupted,
    sentence: 'The work was interrupted before it finished.',
    remedy: 'Start it again: what was acknowledged is kept.',
  },
  CONFIG_UNREADABLE: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: EXIT.config,
    sentence: 'A configuration file cannot be read.',
    remedy: 'Check that the file exists, may be read by this user and is YAML.',
  },
  CONFIG_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'A configuration file does not have the form it must have.',
    remedy:
      'Mend the line that the message names; the published JSON Schema lists what is allowed.',
  },
  CANONICAL_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A document cannot be brought into its canonical form.',
    remedy: 'Use only finite numbers, strings, booleans, null, lists and objects.',
  },
  FILE_UNREADABLE: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: EXIT.data,
    sentence: 'A file cannot be read.',
    remedy: 'Check the path and its permissions.',
  },
  FILE_UNWRITABLE: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 507,
    exit: EXIT.temporary,
    sentence: 'A file cannot be written.',
    remedy: 'Check free space and permissions of the folder.',
  },
} as const satisfies CatalogueSection;
