import { describe, expect, test } from '@jest/globals';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { CATALOGUE, isErrorCode, MedleyError } from '@medley/kit';
import { ERROR_TRAILER, fromStatus, toStatus } from './status.ts';

const codes = Object.keys(CATALOGUE).filter(isErrorCode);

function travel(error: unknown): MedleyError {
  return fromStatus(Object.assign(new Error('call failed'), toStatus(error)), 'peer:1');
}

function bare(code: status, details = 'words'): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

describe('error mapping', () => {
  test.each(codes)('%s comes back as the same code with its gRPC status', (code) => {
    expect(toStatus(new MedleyError(code, 'what and where')).code).toBe(
      status[CATALOGUE[code].grpc],
    );
    expect(travel(new MedleyError(code, 'what and where')).code).toBe(code);
  });

  test('carries what and where to the peer', () => {
    expect(travel(new MedleyError('RPC_CHUNK_ORDER', 'piece at 7')).message).toBe('piece at 7');
  });

  test('tells a peer nothing about faults inside this machine', () => {
    const secret = 'password=tiger at /var/lib/medley';
    for (const error of [new Error(secret), new MedleyError('FILE_UNWRITABLE', secret), 'tiger']) {
      const sent = toStatus(error);
      expect(JSON.stringify([sent.details, sent.metadata.getMap()])).not.toMatch(/tiger|medley\//);
      expect(Buffer.from(sent.metadata.get(ERROR_TRAILER)[0] ?? '').toString()).not.toMatch(
        /tiger/,
      );
      expect(travel(error).message).toBe('said by peer:1');
    }
  });

  test('cuts a detail that would not fit into trailers', () => {
    expect(travel(new MedleyError('USAGE', 'x'.repeat(100_000))).message).toHaveLength(2000);
  });

  test.each([
    [bare(status.UNAVAILABLE, 'connect ECONNREFUSED 127.0.0.1:1'), 'RPC_UNAVAILABLE'],
    [bare(status.UNAVAILABLE, 'self-signed certificate in certificate chain'), 'RPC_TLS_REFUSED'],
    [bare(status.DEADLINE_EXCEEDED), 'RPC_DEADLINE'],
    [bare(status.CANCELLED), 'INTERRUPTED'],
    [bare(status.UNAUTHENTICATED), 'RPC_UNAUTHENTICATED'],
    [bare(status.PERMISSION_DENIED), 'RPC_FORBIDDEN'],
    [bare(status.UNIMPLEMENTED), 'RPC_UNIMPLEMENTED'],
    [bare(status.RESOURCE_EXHAUSTED), 'RPC_MESSAGE_TOO_LARGE'],
    [bare(status.INVALID_ARGUMENT), 'RPC_MESSAGE_INVALID'],
    [bare(status.INTERNAL), 'RPC_PEER_FAILED'],
  ] as const)('names a failure of the transport and the address (%#)', (failure, code) => {
    expect(fromStatus(failure, 'peer:1')).toMatchObject({ code, cause: failure });
    expect(fromStatus(failure, 'peer:1').message).toContain('peer:1');
  });

  test('falls back to the gRPC status for codes of other versions and for broken trailers', () => {
    const broken = bare(status.PERMISSION_DENIED);
    broken.metadata.set(ERROR_TRAILER, Buffer.from([0xff, 0xff, 0xff]));
    expect(fromStatus(broken, 'peer:1').code).toBe('RPC_FORBIDDEN');
    const foreign = bare(status.PERMISSION_DENIED);
    foreign.metadata.set(ERROR_TRAILER, Buffer.from([0x0a, 3, 0x41, 0x42, 0x43]));
    expect(fromStatus(foreign, 'peer:1')).toMatchObject({
      code: 'RPC_FORBIDDEN',
      message: expect.stringContaining('"ABC"'),
    });
  });
});
