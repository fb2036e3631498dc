import { checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { MedleyError } from '@medley/kit';
import type { Role } from '@medley/pki';
import { CHUNK_BYTES } from './chunk.ts';
import { readPeer } from './peer.ts';

/** PEM texts of a server. */
export interface ServerTls {
  readonly keyPem: string;
  /** Leaf first, up to and including the root: a silo's first contact reads the root from it. */
  readonly certChainPem: string;
  /** Issuer of the client certificates that are accepted. */
  readonly caPem: string;
  /** True for mutual TLS; false for the enrolment listener, whose callers have no certificate yet. */
  readonly requireClientCertificate: boolean;
}

/** PEM texts of a client; `certPem` and `keyPem` both or neither. */
export interface ClientTls {
  readonly caPem: string;
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Name that the server's certificate must carry, when it is not the host of the address. */
  readonly serverName?: string;
  /** Role that the server's certificate must carry, e.g. `aggregator`. */
  readonly serverRole?: Role;
}

const TLS_1_3 = 'TLSv1.3';

/**
 * Server credentials of grpc-js whose handshake admits TLS 1.3 only. `ServerCredentials.createSsl` has
 * no such setting (only the process-wide `tls.DEFAULT_MIN_VERSION`), while its base class hands its
 * options to `http2.createSecureServer` as they are. A test holds the refusal of TLS 1.2.
 */
class Tls13ServerCredentials extends ServerCredentials {
  constructor(tls: ServerTls) {
    super(
      {
        minVersion: TLS_1_3,
        requestCert: tls.requireClientCertificate,
        rejectUnauthorized: tls.requireClientCertificate,
        // With HTTP/2's own 64 KiB an upload is 64 KiB a round trip. See also `widen` in server.ts.
        settings: { initialWindowSize: CHUNK_BYTES },
      },
      { minVersion: TLS_1_3, ca: tls.caPem, cert: tls.certChainPem, key: tls.keyPem },
    );
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Throws RPC_TLS_REFUSED when key, certificate or CA cannot be used. */
export function serverCredentials(tls: ServerTls): ServerCredentials {
  return usable(() => {
    // http2 would report a bad key only as a connection error to each caller.
    createSecureContext({ ca: tls.caPem, cert: tls.certChainPem, key: tls.keyPem });
    return new Tls13ServerCredentials(tls);
  });
}

/** For a server dialled as `host`. Throws RPC_TLS_REFUSED when key, certificate or CA cannot be used. */
export function clientCredentials(tls: ClientTls, host: string): ChannelCredentials {
  return usable(() => {
    const context = createSecureContext({
      minVersion: TLS_1_3,
      ca: tls.caPem,
      ...(tls.certPem === undefined ? {} : { cert: tls.certPem }),
      ...(tls.keyPem === undefined ? {} : { key: tls.keyPem }),
    });
    return ChannelCredentials.createFromSecureContext(context, {
      checkServerIdentity: (_name, certificate) =>
        serverFault(tls.serverName ?? host, certificate, tls),
    });
  });
}

/** Setting this callback replaces Node's own check, so it is made here first. */
function serverFault(
  host: string,
  certificate: PeerCertificate,
  tls: ClientTls,
): Error | undefined {
  const fault = checkServerIdentity(host, certificate);
  if (fault ?? tls.serverRole === undefined) return fault;
  try {
    const { role } = readPeer(certificate.raw);
    if (role === tls.serverRole) return undefined;
    return new Error(`certificate has role ${role}, not ${tls.serverRole}`);
  } catch (cause) {
    return new Error('certificate names no member of a consortium', { cause });
  }
}

function usable<T>(make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new MedleyError('RPC_TLS_REFUSED', `key or certificate cannot be used: ${reason}`, {
      cause,
    });
  }
}
