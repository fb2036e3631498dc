/** gRPC status names a Medley error may map to (gRPC core concepts, "Status codes"). */
export type GrpcStatusName =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/**
 * What the world outside learns of one error code.
 *
 * `sentence` is safe to show to anyone: it names no value, key or path. `remedy` is an instruction
 * in the imperative to the person who sees it. The engineer's detail is the error's own `message`.
 */
export interface CatalogueEntry {
  readonly grpc: GrpcStatusName;
  readonly http: number;
  readonly exit: ExitCode;
  readonly sentence: string;
  readonly remedy: string;
}

export type CatalogueSection = Readonly<Record<string, CatalogueEntry>>;

/** Process exit codes by group. A number is never given a second meaning. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  config: 3,
  network: 4,
  identity: 5,
  data: 6,
  policy: 7,
  integrity: 8,
  version: 9,
  warnings: 10,
  temporary: 75,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
