import type {
  CertificateRow,
  InvitationRow,
  OperatorRow,
  RequestRow,
  RoundRow,
  RoundStep,
  SignatureRow,
  SiloRow,
  StudyRow,
  TokenRow,
} from '@medley/aggregator';

/** Rows for the contract suites: valid, with every optional field unset unless asked for. */

export function silo(name: string, change: Partial<SiloRow> = {}): SiloRow {
  return {
    name,
    state: 'invited',
    requestId: undefined,
    identityKey: undefined,
    fingerprint: '',
    certificateSerial: undefined,
    certificateExpiresMs: undefined,
    lastSeenMs: 0,
    ...change,
  };
}

export function invitation(id: string, of: string): InvitationRow {
  return {
    id,
    silo: of,
    secretHash: new Uint8Array(32).fill(3),
    createdMs: 1,
    expiresMs: 2 ** 41,
    usedBy: undefined,
  };
}

export function request(id: string, of: string, invitationId: string): RequestRow {
  return {
    id,
    silo: of,
    invitationId,
    csrPem: 'csr',
    identityKey: new Uint8Array(32).fill(4),
    signature: new Uint8Array(64).fill(5),
    fingerprint: 'one two three four five six',
    state: 'pending',
    createdMs: 17,
    certificatePem: undefined,
    reason: undefined,
  };
}

export function certificate(
  serial: string,
  of: string,
  change: Partial<CertificateRow> = {},
): CertificateRow {
  return {
    serial,
    silo: of,
    issuer: 'renewals',
    issuedMs: 1_800_000_000_000,
    untilMs: 1_800_000_000_007,
    chainPem: 'chain',
    requestHash: undefined,
    revokedMs: undefined,
    reason: undefined,
    ...change,
  };
}

export function operator(name: string, change: Partial<OperatorRow> = {}): OperatorRow {
  return {
    name,
    roles: ['viewer', 'admin'],
    state: 'active',
    certificateSerial: undefined,
    createdMs: 5,
    ...change,
  };
}

export function token(id: string, of: string, change: Partial<TokenRow> = {}): TokenRow {
  return {
    id,
    operator: of,
    label: 'nightly report',
    secretHash: new Uint8Array(32).fill(6),
    scopes: ['read', 'models'],
    createdMs: 7,
    expiresMs: 1_800_000_000_000,
    revokedMs: undefined,
    ...change,
  };
}

export function study(name: string): StudyRow {
  return {
    name,
    title: 'Title',
    state: 'proposed',
    charterHash: `hash of ${name}`,
    charter: new Uint8Array([1, 2]),
    studyFile: new Uint8Array([3, 4]),
    model: { hash: 'aa', sizeBytes: 10 },
    modelState: { hash: 'bb', sizeBytes: 20 },
    createdMs: 5,
    startedMs: undefined,
    endedMs: undefined,
    pausedMs: undefined,
    reason: undefined,
  };
}

export function signature(of: string, by: string): SignatureRow {
  return {
    study: of,
    silo: by,
    decision: 'signed',
    statement: new Uint8Array([9]),
    signature: new Uint8Array(64),
    atMs: 1_800_000_000_000,
  };
}

/** A closed round refers to log entry 0. */
export function round(of: string, number: number, attempt: number, step: RoundStep): RoundRow {
  const closed = step === 'closed';
  return {
    study: of,
    round: number,
    attempt,
    kind: 'training',
    step,
    openedMs: 1,
    closedMs: closed || step === 'aborted' ? 2 : undefined,
    model: { hash: 'cc', sizeBytes: 3 },
    state: new Uint8Array([1, 1]),
    outcome: closed
      ? {
          receipt: new Uint8Array([1]),
          aggregate: { hash: 'dd', sizeBytes: 4 },
          nextModel: { hash: 'ee', sizeBytes: 5 },
          metrics: new Uint8Array([2]),
          leafIndex: 0,
        }
      : undefined,
    abortCode: step === 'aborted' ? 'SECAGG_TOO_FEW' : undefined,
    bytesUp: 0,
    bytesDown: 0,
  };
}
