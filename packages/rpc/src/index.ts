export { formatAddress, isLoopback, parseAddress, type Address } from './address.ts';
export type { Admission } from './call.ts';
export { CHUNK_BYTES, collectChunks, toChunks, type Announced, type ChunkOut } from './chunk.ts';
export { connect, type CallOptions, type Client, type ConnectOptions } from './client.ts';
export {
  clientStream,
  serverStream,
  unary,
  type CallContext,
  type ClientStreamHandler,
  type Handlers,
  type ServerStreamHandler,
  type UnaryHandler,
} from './context.ts';
export type { ClientTls, ServerTls } from './credentials.ts';
export { LOADER_OPTIONS } from './load.ts';
export type * from './message.ts';
export { peerOf, requireRole, type Peer } from './peer.ts';
export { fetchAuthority, type PinOptions } from './pin.ts';
export {
  MAX_MESSAGE_BYTES,
  serve,
  SERVER_LIMITS,
  startServer,
  type RunningServer,
  type Served,
  type ServerLimits,
  type ServerOptions,
} from './server.ts';
export {
  Admin,
  Audit,
  Enrolment,
  Rounds,
  type AdminMethods,
  type AuditMethods,
  type EnrolmentMethods,
  type RoundsMethods,
  type Service,
} from './service.ts';
export { ERROR_TRAILER, fromStatus, toStatus } from './status.ts';
