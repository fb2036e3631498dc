import { connect as tcpConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import { parseAddress, type Client, type RoundsMethods } from '@medley/rpc';
import { isMedleyError } from '@medley/kit';

/** Counts of what was thrown at the server. */
export interface AttackCounts {
  /** Connections of bytes that are no TLS, of TLS without a certificate, and held open without a word. */
  garbage: number;
  strangers: number;
  silent: number;
  /** Calls of an enrolled silo far beyond its share, and messages beyond the size that is taken. */
  calls: number;
  oversized: number;
  /** Of the calls and messages, how many were refused with a code. */
  refused: number;
}

/** Flooders come from another address of this machine, as they would. */
const FROM = '127.0.0.2';
/** Sockets that each kind of flood has open at a time. */
const AT_ONCE = 24;

/** Attacks `address` until `stop`; resolves with the counts when every socket is closed. */
export async function attack(
  address: string,
  insider: Client<RoundsMethods>,
  stop: AbortSignal,
): Promise<AttackCounts> {
  const { host, port } = parseAddress(address);
  const counts: AttackCounts = {
    ...{ garbage: 0, strangers: 0, silent: 0, calls: 0, oversized: 0, refused: 0 },
  };
  const open = new Set<Socket>();
  const held = (socket: Socket): Promise<void> =>
    new Promise((resolve) => {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open.delete(socket);
        resolve();
      });
    });
  const plain = (): Socket => tcpConnect({ host, port, localAddress: FROM });

  const garbage = async (): Promise<void> => {
    const socket = plain();
    const closed = held(socket);
    socket.write(Buffer.alloc(8192, counts.garbage++ % 256));
    await closed;
  };
  const stranger = async (): Promise<void> => {
    counts.strangers++;
    const socket = tlsConnect({
      socket: plain(),
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    const closed = held(socket);
    socket.once('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
    await closed;
  };
  const silent = async (): Promise<void> => {
    counts.silent++;
    await held(plain());
  };
  const call = async (): Promise<void> => {
    const calls = Array.from({ length: 100 }, () => insider.listStudies({}));
    counts.calls += calls.length;
    const ended = await Promise.allSettled(calls);
    counts.refused += ended.filter((one) => one.status === 'rejected').length;
    await pause(50);
  };
  const oversized = async (): Promise<void> => {
    counts.oversized++;
    const message = { study: 'x'.repeat(3 * 2 ** 20) };
    await insider.getStudy(message).catch((caught: unknown) => {
      if (isMedleyError(caught)) counts.refused++;
    });
    await pause(50);
  };
  const forever = async (work: () => Promise<void>): Promise<void> => {
    while (!stop.aborted) await work();
  };
  const floods = [garbage, stranger, silent].flatMap((work) =>
    Array.from({ length: AT_ONCE }, () => forever(work)),
  );
  stop.addEventListener('abort', () => {
    for (const socket of open) socket.destroy();
  });
  await Promise.all([...floods, forever(call), forever(oversized)]);
  return counts;
}
