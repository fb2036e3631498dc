import { MedleyError } from '@medley/kit';
import { readCertificate, type Role } from '@medley/pki';

/** Who is on the other side, by the certificate that TLS has verified against the consortium's CA. */
export interface Peer {
  readonly role: Role;
  readonly name: string;
  readonly consortium: string;
  /** Serial number of the certificate as pki writes it; servers look it up for revocation. */
  readonly serial: string;
}

/** What grpc-js tells of a connection: the certificate is there only if TLS accepted it. */
export interface Authentication {
  readonly sslPeerCertificate?: { readonly raw: Uint8Array };
}

/**
 * The verified peer of a call, undefined when it showed no certificate. Throws RPC_UNAUTHENTICATED
 * for a certificate that no consortium issues.
 */
export function peerOf(context: Authentication): Peer | undefined {
  const raw = context.sslPeerCertificate?.raw;
  return raw === undefined ? undefined : readPeer(raw);
}

/** Certificates remembered by {@link rememberedPeers}. */
const MOST_PEERS = 1000;

/**
 * {@link peerOf}, which reads each certificate once: on every call of a connection it is the same.
 * Says who the peer is, not whether its certificate is still in force.
 */
export function rememberedPeers(): (context: Authentication) => Peer | undefined {
  const known = new Map<string, Peer>();
  return (context) => {
    const raw = context.sslPeerCertificate?.raw;
    if (raw === undefined) return undefined;
    const key = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1');
    const peer = known.get(key) ?? readPeer(raw);
    if (known.size >= MOST_PEERS) known.clear();
    known.set(key, peer);
    return peer;
  };
}

/** Reads the identity out of a DER certificate. Throws RPC_UNAUTHENTICATED. */
export function readPeer(der: Uint8Array): Peer {
  try {
    const { subject, serial } = readCertificate(der);
    return { role: subject.role, name: subject.name, consortium: subject.consortium, serial };
  } catch (cause) {
    throw new MedleyError(
      'RPC_UNAUTHENTICATED',
      'the certificate names no member of a consortium',
      { cause },
    );
  }
}

/**
 * The peer, if it has one of `roles`. Throws RPC_UNAUTHENTICATED without a certificate and
 * RPC_FORBIDDEN for another role.
 */
export function requireRole(
  context: { readonly peer: Peer | undefined },
  ...roles: readonly Role[]
): Peer {
  const { peer } = context;
  if (!peer) throw new MedleyError('RPC_UNAUTHENTICATED', 'the caller showed no certificate');
  if (!roles.includes(peer.role)) {
    throw new MedleyError(
      'RPC_FORBIDDEN',
      `role ${peer.role} may not make this call, only ${roles.join(' or ')}`,
    );
  }
  return peer;
}
