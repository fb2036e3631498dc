import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { isErrorCode, MedleyError, type ErrorCode } from '@medley/kit';
import type { ErrorDetail, ErrorDetail__Output } from './generated/medley/v1/ErrorDetail.ts';
import { loadMessage } from './load.ts';

/** Trailer of every failed call: one {@link ErrorDetail}. The suffix marks binary metadata. */
export const ERROR_TRAILER = 'medley-error-bin';

/** Trailers are headers, which HTTP/2 peers limit to 8 KiB and more; this leaves room for the rest. */
const MAX_DETAIL_CHARS = 2000;

/** Codes whose message may name a path of the machine that failed, which no peer needs to know. */
const LOCAL_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INTERNAL',
  'FILE_UNREADABLE',
  'FILE_UNWRITABLE',
  'CONFIG_UNREADABLE',
  'CONFIG_INVALID',
]);

const errorDetail = () => loadMessage<ErrorDetail, ErrorDetail__Output>('ErrorDetail');

/**
 * What a failed call answers: the catalogue's gRPC status and sentence, and the ErrorDetail in the
 * trailer. Faults of the answering machine itself carry no detail; anything that is no MedleyError
 * becomes INTERNAL.
 */
export function toStatus(caught: unknown): StatusObject {
  const error = MedleyError.from(caught);
  const { grpc, sentence, remedy } = error.entry;
  const detail = LOCAL_FAULTS.has(error.code) ? '' : error.message.slice(0, MAX_DETAIL_CHARS);
  const metadata = new Metadata();
  metadata.set(
    ERROR_TRAILER,
    errorDetail().serialize({ code: error.code, sentence, remedy, detail }),
  );
  return { code: status[grpc], details: sentence, metadata };
}

/**
 * A failed call as this side's error. With an ErrorDetail of a known code it is the peer's own error;
 * without one (transport, proxy, other versions) the gRPC status decides. `address` names the peer.
 */
export function fromStatus(failure: ServiceError, address: string): MedleyError {
  const told = readDetail(failure);
  if (told && isErrorCode(told.code)) {
    return new MedleyError(told.code, told.detail === '' ? `said by ${address}` : told.detail, {
      cause: failure,
    });
  }
  const code = codeOf(failure);
  const unknown = told ? ` (code ${JSON.stringify(told.code.slice(0, 60))} is not known here)` : '';
  return new MedleyError(code, `${address}: ${failure.details}${unknown}`, { cause: failure });
}

function readDetail(failure: ServiceError): ErrorDetail__Output | undefined {
  // Calls that fail before they have a peer carry metadata of their own or, by type lie, none.
  const bytes = (failure.metadata as Metadata | undefined)?.get(ERROR_TRAILER)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    return errorDetail().deserialize(Buffer.from(bytes));
  } catch {
    // A peer that cannot even write its error is judged by its gRPC status.
    return undefined;
  }
}

function codeOf(failure: ServiceError): ErrorCode {
  switch (failure.code) {
    case status.UNAVAILABLE:
      return isTlsFailure(failure.details) ? 'RPC_TLS_REFUSED' : 'RPC_UNAVAILABLE';
    case status.DEADLINE_EXCEEDED:
      return 'RPC_DEADLINE';
    case status.CANCELLED:
      return 'INTERRUPTED';
    case status.UNAUTHENTICATED:
      return 'RPC_UNAUTHENTICATED';
    case status.PERMISSION_DENIED:
      return 'RPC_FORBIDDEN';
    case status.UNIMPLEMENTED:
      return 'RPC_UNIMPLEMENTED';
    case status.RESOURCE_EXHAUSTED:
      return 'RPC_MESSAGE_TOO_LARGE';
    case status.INVALID_ARGUMENT:
      return 'RPC_MESSAGE_INVALID';
    default:
      return 'RPC_PEER_FAILED';
  }
}

/** grpc-js reports a refused handshake only in words: OpenSSL's and Node's. */
function isTlsFailure(details: string): boolean {
  return /certificate|altnames|SSL routines|tlsv1|ERR_TLS|EPROTO|alert/i.test(details);
}
