import type { Server as TlsServer } from 'node:tls';
import type { Socket } from 'node:net';
import type { Logger } from '@medley/kit';
import { networkOf } from './network.ts';

export interface ConnectionLimits {
  /** TCP connections at a time. */
  readonly connections: number;
  /** The same from one address. */
  readonly connectionsPerAddress: number;
  /** How long a connection may take until TLS stands, in milliseconds. */
  readonly handshakeMs: number;
}

/**
 * Closes connections beyond the limits before a byte of them is read, and those whose TLS does not
 * stand in time: neither costs more than a socket. `server` is the listening server under gRPC.
 */
export function limitConnections(
  server: Pick<TlsServer, 'prependListener' | 'on'>,
  limits: ConnectionLimits,
  logger: Logger,
): void {
  const open = new Map<string, number>();
  const unsecured = new Map<string, Socket>();
  let total = 0;

  const refuse = (socket: Socket, network: string, reason: string): void => {
    logger.debug('connection refused', { address: network, detail: reason });
    socket.destroy();
  };

  server.prependListener('connection', (socket: Socket) => {
    const network = networkOf(socket.remoteAddress ?? '');
    const here = open.get(network) ?? 0;
    const isFull = total >= limits.connections;
    if (isFull || here >= limits.connectionsPerAddress) {
      refuse(socket, network, isFull ? 'connections' : 'connectionsPerAddress');
      return;
    }
    total += 1;
    open.set(network, here + 1);
    const key = keyOf(socket);
    unsecured.set(key, socket);
    const late = setTimeout(() => {
      if (unsecured.has(key)) refuse(socket, network, 'handshakeSeconds');
    }, limits.handshakeMs);
    late.unref();
    socket.once('close', () => {
      clearTimeout(late);
      unsecured.delete(key);
      total -= 1;
      const left = (open.get(network) ?? 1) - 1;
      if (left === 0) open.delete(network);
      else open.set(network, left);
    });
  });
  server.on('secureConnection', (socket: Socket) => unsecured.delete(keyOf(socket)));
}

/** The TLS socket that a connection becomes is another object, on the same pair of ports. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? ''}`;
}
