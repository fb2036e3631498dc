import { EXIT, type CatalogueSection } from './section.ts';

/** Reading and checking the transparency log. */
export const AUDIT = {
  AUDIT_STORE_UNREADABLE: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: EXIT.config,
    sentence: 'The store of the audit log cannot be read.',
    remedy:
      'Start the aggregator once so that it makes its store, and check the path in audit.yaml.',
  },
  AUDIT_RANGE: {
    grpc: 'OUT_OF_RANGE',
    http: 416,
    exit: EXIT.usage,
    sentence: 'The audit log has no such entry or size.',
    remedy: 'Ask for the newest checkpoint first and stay within its size.',
  },
  AUDIT_PERIOD: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.usage,
    sentence: 'The period is not one.',
    remedy: 'Write days (2026-11-24, in UTC) or instants with an offset (2026-11-24T08:00Z).',
  },
  AUDIT_FAILED: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'The audit trail does not hold.',
    remedy: 'Keep the files that were downloaded, stop the studies and tell every hospital.',
  },
  AUDIT_EXPORT_EXISTS: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.usage,
    sentence: 'Something is there already, and nothing is overwritten unasked.',
    remedy:
      'Name another --out, or add --force to replace a bundle; other folders are never replaced.',
  },
  AUDIT_EXPORT_TOO_LARGE: {
    grpc: 'OUT_OF_RANGE',
    http: 413,
    exit: EXIT.usage,
    sentence: 'The bundle is too large for a ZIP file.',
    remedy: 'Export to a folder, or a shorter period.',
  },
  AUDIT_SCOPE_UNKNOWN: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: EXIT.usage,
    sentence: 'The audit log knows no such study or hospital.',
    remedy: 'Look at `medley study list` and `medley silo list`.',
  },
  LOG_FORKED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The audit log was shown to this hospital with two different histories.',
    remedy:
      'Keep the evidence (medley-agent witness export), stop the agent and tell every hospital.',
  },
  WITNESS_NO_FORK: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: EXIT.usage,
    sentence: 'There is no evidence against the audit log here.',
    remedy: 'Look at medley-agent witness show; there is nothing to export.',
  },
  WITNESS_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.integrity,
    sentence: 'A cosignature of the audit log does not hold.',
    remedy: 'Check that the agent runs with the witness key that it registered.',
  },
} as const satisfies CatalogueSection;
