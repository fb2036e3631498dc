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
  AUDIT_FAILED: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'The audit trail does not hold.',
    remedy: 'Keep the files that were downloaded, stop the studies and tell every hospital.',
  },
} as const satisfies CatalogueSection;
