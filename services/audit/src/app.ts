import { MedleyError, readText, type Logger } from '@medley/kit';
import { openPrivateKey } from '@medley/pki';
import {
  formatAddress,
  parseAddress,
  startServer,
  type RunningServer,
  type ServerTls,
} from '@medley/rpc';
import type { AuditConfig } from './config.ts';
import { Prover } from './log/prover.ts';
import { auditService, authoriseReader } from './rpc/handlers.ts';
import type { LogStore } from './store/store.ts';

export interface AuditOptions {
  readonly config: AuditConfig;
  readonly tls: ServerTls;
  /** Stays the caller's to close, after the service. */
  readonly store: LogStore;
  readonly logger: Logger;
}

/**
 * Starts the audit service. A log that does not hold is said in the log of this process and served
 * all the same, without proofs: it is the evidence. Throws RPC_LISTEN_FAILED and RPC_TLS_REFUSED.
 */
export async function createAuditService(options: AuditOptions): Promise<RunningServer> {
  const { config, tls, store, logger } = options;
  const prover = new Prover(store);
  const server = await startServer({
    address: config.listen,
    tls,
    services: [auditService(store, prover)],
    authorise: (context) => authoriseReader(store, context),
    logger,
  });
  await reportLog(prover, logger);
  return server;
}

/**
 * Key and certificates that the configuration names; an encrypted key is opened with the passphrase
 * file. Throws FILE_UNREADABLE, PKI_PASSPHRASE_WRONG and PKI_KEY_INVALID.
 */
export async function readServerTls({ tls, passphraseFile }: AuditConfig): Promise<ServerTls> {
  const passphrase =
    passphraseFile === undefined
      ? undefined
      : (await readText(passphraseFile)).replace(/\r?\n$/, '');
  const key = openPrivateKey(await readText(tls.key), passphrase);
  return {
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certChainPem: await readText(tls.certificate),
    caPem: await readText(tls.ca),
    requireClientCertificate: true,
  };
}

/** What readers dial: the public host with the port that was bound. */
export function publicAddress({ publicHost }: AuditConfig, server: RunningServer): string {
  return formatAddress({ ...parseAddress(server.address), host: publicHost });
}

async function reportLog(prover: Prover, logger: Logger): Promise<void> {
  try {
    logger.info('the log holds', { count: await prover.check() });
  } catch (caught) {
    const { code, message } = MedleyError.from(caught);
    logger.error('the log does not hold', { code, detail: message });
  }
}
