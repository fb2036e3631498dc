import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { MedleyError } from '@medley/kit';
import { verifyPin } from '@medley/pki';
import { parseAddress } from './address.ts';

export interface PinOptions {
  /** `host:port` of a TLS listener whose server sends its chain including the root. */
  readonly address: string;
  /** Hex SHA-256 of the root's SubjectPublicKeyInfo (RFC 7469), as invitations carry it. */
  readonly pin: string;
  /** For each of the two connections; default 10 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A chain longer than this is no chain of a consortium, whose CA signs leaves directly. */
const MAX_CHAIN = 5;

/**
 * The consortium's CA certificate (PEM) as the server at `address` shows it, if its public key is the
 * pinned one. The first connection trusts nobody and only reads the chain; a second one lets OpenSSL
 * verify leaf, dates and host name against that root alone. Nothing is sent over either.
 *
 * Throws RPC_PIN_MISMATCH naming the issuer seen, which inside hospitals is often a proxy that decrypts
 * TLS; RPC_UNAVAILABLE, RPC_DEADLINE, RPC_TLS_REFUSED, RPC_ADDRESS_INVALID, INTERRUPTED.
 */
export async function fetchAuthority(options: PinOptions): Promise<string> {
  const chain = await withConnection(options, undefined, (socket) =>
    chainOf(socket.getPeerCertificate(true)),
  );
  const root = chain.find((certificate) => isPinned(certificate, options.pin));
  if (!root) {
    const issuer = commonName(chain[0]?.issuer) ?? 'nobody';
    throw new MedleyError(
      'RPC_PIN_MISMATCH',
      `${options.address}: certificate issued by ${JSON.stringify(issuer)}, expected the authority with pin ` +
        `${options.pin.slice(0, 16)}…; TLS inspection on the way?`,
    );
  }
  const caPem = root.toString();
  await withConnection(options, caPem, () => undefined);
  return caPem;
}

function isPinned(certificate: X509Certificate, pin: string): boolean {
  try {
    return verifyPin(certificate.raw, pin).spkiSha256 === pin;
  } catch {
    // Not an authority, or another one: the caller goes on looking.
    return false;
  }
}

/** Leaf first. Node links the certificates as the server sent them and ties the root to itself. */
function chainOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let link: DetailedPeerCertificate | undefined = leaf;
  while (link?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(link.raw));
    const issuer: DetailedPeerCertificate | undefined = link.issuerCertificate;
    link = issuer === link ? undefined : issuer;
  }
  return chain;
}

function commonName(name: string | undefined): string | undefined {
  return (
    name
      ?.split('\n')
      .find((part) => part.startsWith('CN='))
      ?.slice(3) ?? name?.replaceAll('\n', ', ')
  );
}

async function withConnection<T>(
  { address, timeoutMs = 10_000, signal }: PinOptions,
  caPem: string | undefined,
  read: (socket: TLSSocket) => T,
): Promise<T> {
  const { host, port } = parseAddress(address);
  return new Promise<T>((resolve, reject) => {
    const socket = connect({
      host,
      port,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      // Only the first connection, whose one purpose is to read the chain, goes unverified.
      ...(caPem === undefined ? { rejectUnauthorized: false } : { ca: caPem }),
      ...(isIP(host) ? {} : { servername: host }),
    });
    const fail = (error: MedleyError): void => {
      finish();
      reject(error);
    };
    const onAbort = (): void => fail(new MedleyError('INTERRUPTED', `${address}: cancelled`));
    const finish = (): void => {
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    socket.setTimeout(timeoutMs, () =>
      fail(
        new MedleyError(
          'RPC_DEADLINE',
          `${address}: no TLS handshake within ${String(timeoutMs)} ms`,
        ),
      ),
    );
    socket.once('error', (cause: Error) => fail(connectionError(address, cause)));
    socket.once('secureConnect', () => {
      const value = read(socket);
      finish();
      resolve(value);
    });
  });
}

function connectionError(address: string, cause: Error): MedleyError {
  const reason = 'code' in cause ? String(cause.code) : '';
  const isNetwork = /^E(CONN|NOTFOUND|AI_|HOST|NET|TIMEDOUT|PIPE|ADDR)/.test(reason);
  const code = isNetwork ? 'RPC_UNAVAILABLE' : 'RPC_TLS_REFUSED';
  return new MedleyError(code, `${address}: ${cause.message}`, { cause });
}
