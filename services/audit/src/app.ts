import type { Logger } from '@medley/kit';
import { startServer, type RunningServer, type ServerTls } from '@medley/rpc';
import { Prover } from './log/prover.ts';
import { auditService, authoriseReader } from './rpc/handlers.ts';
import type { LogStore } from './store/store.ts';

/** Starts the audit service over an open store, which stays the caller's to close. */
export async function createAuditService(options: {
  readonly store: LogStore;
  readonly address: string;
  readonly tls: Omit<ServerTls, 'requireClientCertificate'>;
  readonly logger: Logger;
}): Promise<RunningServer> {
  const { store, logger } = options;
  return startServer({
    address: options.address,
    tls: { ...options.tls, requireClientCertificate: true },
    services: [auditService(store, new Prover(store))],
    authorise: async (context) => authoriseReader(store, context),
    logger,
  });
}
