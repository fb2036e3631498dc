import { isIPv4, isIPv6 } from 'node:net';
import { MedleyError } from '@medley/kit';

export interface Address {
  /** DNS name or IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port` or `[ipv6]:port`. Throws RPC_ADDRESS_INVALID. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  const isBadHost = host === undefined || (match?.[1] !== undefined && !isIPv6(host));
  if (isBadHost || port > 65_535) {
    throw new MedleyError(
      'RPC_ADDRESS_INVALID',
      `${JSON.stringify(text.slice(0, 200))} is not host:port`,
    );
  }
  return { host, port };
}

/** The reverse of {@link parseAddress}. */
export function formatAddress({ host, port }: Address): string {
  return isIPv6(host) ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}

/** True for this machine itself, which no proxy may stand before. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
