import {
  MedleyError,
  equalBytes,
  sha256,
  timestamp,
  toHex,
  type Clock,
  type Rng,
} from '@medley/kit';
import {
  isIdentityKey,
  verifyEnrolment,
  verifyStatement,
  type Certificate,
  type SignedEnrolment,
} from '@medley/pki';
import type { Change, Ledger } from '../log/ledger.ts';
import type { RequestRow, SiloRow } from '../store/rows.ts';
import type { Store, Tables } from '../store/store.ts';
import { admitRequest, checkApproval, checkInvitation, type InvitationOrder } from './decision.ts';

export interface EnrolmentParts {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly consortium: string;
  /** The consortium's CA certificates; their keys are not here. */
  readonly caPem: string;
  /** How many operators it takes to approve a silo. */
  readonly approvals: number;
}

/** How far the approval of a request has come. */
export interface Approval {
  readonly state: 'pending' | 'enrolled';
  readonly approvedBy: readonly string[];
}

/** What a silo learns of its request. */
export type Outcome =
  | { readonly state: 'pending' }
  | { readonly state: 'approved'; readonly certificatePem: string; readonly caPem: string }
  | { readonly state: 'refused'; readonly reason: string };

/** A pending request with what an operator needs to check it without believing the aggregator. */
export interface Pending extends RequestRow {
  readonly secretHash: Uint8Array;
  readonly approvedBy: readonly string[];
}

/** How silos come into the consortium: invitation, request, the operator's decision, collection. */
export class EnrolmentDesk {
  readonly #parts: EnrolmentParts;

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
  }

  /** Stores an invitation. Throws as {@link checkInvitation}. */
  async invite(order: InvitationOrder, operator: string): Promise<void> {
    const { ledger, clock } = this.#parts;
    const nowMs = clock.nowMs();
    await ledger.change(async ({ tables, record }) => {
      const silo = await tables.silos.get(order.silo);
      checkInvitation(order, silo, await tables.invitations.get(order.invitationId), nowMs);
      const state = silo?.state === 'pending' ? 'pending' : 'invited';
      await tables.silos.put(silo ? { ...silo, state } : newSilo(order.silo));
      await tables.invitations.put({
        id: order.invitationId,
        silo: order.silo,
        secretHash: order.secretHash,
        createdMs: nowMs,
        expiresMs: order.expiresMs,
        usedBy: undefined,
      });
      await record({
        type: 'silo.invited',
        actor: { kind: 'operator', id: operator },
        outcome: 'ok',
        data: {
          silo: order.silo,
          invitationId: order.invitationId,
          expires: timestamp(order.expiresMs),
        },
      });
    });
  }

  /**
   * Takes a silo's request. The same signed request again gives the same answer. Throws as
   * `verifyEnrolment` and {@link admitRequest} do; PKI_ENROLMENT_INVALID when the identity key is
   * another silo's.
   */
  async request(
    request: SignedEnrolment,
  ): Promise<{ readonly requestId: string; readonly fingerprint: string }> {
    const { ledger, clock, rng, consortium } = this.#parts;
    const verified = verifyEnrolment(request);
    const nowMs = clock.nowMs();
    return ledger.change(async ({ tables, record }) => {
      const invitation = await tables.invitations.get(request.invitationId);
      const earlier = invitation?.usedBy ? await tables.requests.get(invitation.usedBy) : undefined;
      const known = { consortium, invitation, earlier, nowMs };
      const same = admitRequest(request, verified, known);
      if (same) return { requestId: same.id, fingerprint: same.fingerprint };
      await checkKeyIsNew(tables, request);
      const id = toHex(rng.bytes(16));
      const fingerprint = verified.fingerprint.join(' ');
      await tables.requests.put({
        id,
        silo: request.silo,
        invitationId: request.invitationId,
        csrPem: request.csrPem,
        identityKey: request.identityKey,
        signature: request.signature,
        fingerprint,
        state: 'pending',
        createdMs: nowMs,
        certificatePem: undefined,
        reason: undefined,
      });
      await tables.invitations.put({ ...invitation!, usedBy: id });
      const silo = (await tables.silos.get(request.silo)) ?? newSilo(request.silo);
      await tables.silos.put({ ...silo, state: 'pending', requestId: id, fingerprint });
      await record({
        type: 'silo.requested',
        actor: { kind: 'silo', id: request.silo },
        outcome: 'ok',
        data: {
          silo: request.silo,
          requestId: id,
          identityKeyHash: keyHash(request.identityKey),
        },
      });
      return { requestId: id, fingerprint };
    });
  }

  /**
   * The outcome for a caller who holds the request's identity key. Throws ENROLMENT_UNKNOWN, the same
   * for a request that is not there and for a wrong signature.
   */
  async collect(requestId: string, signature: Uint8Array): Promise<Outcome> {
    const request = await this.#parts.store.tables.requests.get(requestId);
    const holds =
      request !== undefined &&
      isIdentityKey(request.identityKey) &&
      verifyStatement(request.identityKey, 'collect', { requestId }, signature);
    if (!holds) throw new MedleyError('ENROLMENT_UNKNOWN', 'no such request of this caller');
    switch (request.state) {
      case 'pending':
        return { state: 'pending' };
      case 'approved': {
        const { caPem } = this.#parts;
        return { state: 'approved', certificatePem: request.certificatePem ?? '', caPem };
      }
      case 'refused':
        return { state: 'refused', reason: request.reason ?? '' };
    }
  }

  /** The newest request of a silo. Throws ENROLMENT_UNKNOWN when it has none that is pending. */
  async pending(silo: string): Promise<Pending> {
    const { tables } = this.#parts.store;
    const id = (await tables.silos.get(silo))?.requestId;
    const request = id === undefined ? undefined : await tables.requests.get(id);
    const invitation = request && (await tables.invitations.get(request.invitationId));
    if (request?.state !== 'pending' || !invitation) {
      throw new MedleyError('ENROLMENT_UNKNOWN', `silo ${silo} has no pending request`);
    }
    const approvedBy = await approversOf(tables, request.id);
    return { ...request, secretHash: invitation.secretHash, approvedBy };
  }

  /** What the silo collects. Throws ENROLMENT_UNKNOWN for a silo that is not enrolled. */
  async certificateOf(
    silo: string,
  ): Promise<{ readonly requestId: string; readonly certificatePem: string }> {
    const { tables } = this.#parts.store;
    const row = await tables.silos.get(silo);
    const request =
      row?.requestId === undefined ? undefined : await tables.requests.get(row.requestId);
    if (row?.state !== 'enrolled' || request?.certificatePem === undefined) {
      throw new MedleyError('ENROLMENT_UNKNOWN', `silo ${silo.slice(0, 64)} is not enrolled`);
    }
    return { requestId: request.id, certificatePem: request.certificatePem };
  }

  /**
   * Records an operator's approval, and enrols the silo when enough different operators have approved
   * and one of them brought the certificate. The same approval again changes nothing. Throws
   * ENROLMENT_UNKNOWN, ENROLMENT_DECIDED and as {@link checkApproval}.
   */
  async approve(requestId: string, certificatePem: string, operator: string): Promise<Approval> {
    const { ledger, clock, caPem, approvals } = this.#parts;
    return ledger.change(async (change) => {
      const { tables } = change;
      const request = await requestOf(tables, requestId);
      const isSame = certificatePem === '' || certificatePem === request.certificatePem;
      if (request.state === 'approved' && isSame) {
        return { state: 'enrolled', approvedBy: await approversOf(tables, requestId) };
      }
      await checkUndecided(tables, request);
      const pem = certificatePem === '' ? (request.certificatePem ?? '') : certificatePem;
      const nowMs = clock.nowMs();
      const certificate = pem === '' ? undefined : checkApproval(request, pem, caPem, nowMs);
      const isNews = !(await approversOf(tables, requestId)).includes(operator);
      await tables.approvals.put({ requestId, operator, atMs: nowMs });
      const approvedBy = await approversOf(tables, requestId);
      if (certificate && approvedBy.length >= approvals) {
        await enrol(change, request, { ...certificate, pem }, operator, nowMs);
        return { state: 'enrolled', approvedBy };
      }
      if (certificate) await tables.requests.put({ ...request, certificatePem: pem });
      if (isNews) {
        await change.record({
          type: 'silo.endorsed',
          actor: { kind: 'operator', id: operator },
          outcome: 'ok',
          data: { silo: request.silo, requestId, identityKeyHash: keyHash(request.identityKey) },
        });
      }
      return { state: 'pending', approvedBy };
    });
  }

  /** Refuses a pending request. Throws ENROLMENT_UNKNOWN, ENROLMENT_DECIDED. */
  async refuse(requestId: string, reason: string, operator: string): Promise<void> {
    await this.#parts.ledger.change(async ({ tables, record }) => {
      const request = await requestOf(tables, requestId);
      if (request.state === 'refused') return;
      await checkUndecided(tables, request);
      const why = reason.trim() === '' ? 'no reason given' : reason.slice(0, 1000);
      await tables.requests.put({ ...request, state: 'refused', reason: why });
      const silo = await tables.silos.get(request.silo);
      if (silo) await tables.silos.put({ ...silo, state: 'refused' });
      await record({
        type: 'silo.refused',
        actor: { kind: 'operator', id: operator },
        outcome: 'refused',
        data: { silo: request.silo, requestId, reason: why },
      });
    });
  }
}

async function enrol(
  { tables, record }: Change,
  request: RequestRow,
  certificate: Certificate,
  operator: string,
  nowMs: number,
): Promise<void> {
  const { serial, notAfterMs, pem } = certificate;
  await tables.requests.put({ ...request, state: 'approved', certificatePem: pem });
  const silo = (await tables.silos.get(request.silo)) ?? newSilo(request.silo);
  await tables.silos.put({
    ...silo,
    state: 'enrolled',
    identityKey: request.identityKey,
    fingerprint: request.fingerprint,
    certificateSerial: serial,
    certificateExpiresMs: notAfterMs,
  });
  await tables.certificates.put({
    serial,
    silo: request.silo,
    issuer: 'authority',
    issuedMs: nowMs,
    untilMs: notAfterMs,
    chainPem: pem,
    requestHash: undefined,
    revokedMs: undefined,
    reason: undefined,
  });
  await record({
    type: 'silo.approved',
    actor: { kind: 'operator', id: operator },
    outcome: 'ok',
    data: {
      silo: request.silo,
      requestId: request.id,
      certificateSerial: serial,
      identityKeyHash: keyHash(request.identityKey),
    },
  });
}

async function approversOf(tables: Tables, requestId: string): Promise<readonly string[]> {
  return (await tables.approvals.of(requestId)).map(({ operator }) => operator);
}

async function requestOf(tables: Tables, id: string): Promise<RequestRow> {
  const request = await tables.requests.get(id);
  if (!request) throw new MedleyError('ENROLMENT_UNKNOWN', 'there is no such request');
  return request;
}

/** Only the newest request of a silo can be decided: an older one was replaced by the silo itself. */
async function checkUndecided(tables: Tables, request: RequestRow): Promise<void> {
  const silo = await tables.silos.get(request.silo);
  if (request.state !== 'pending' || silo?.requestId !== request.id) {
    throw new MedleyError('ENROLMENT_DECIDED', `the request of ${request.silo} is not pending`);
  }
}

/**
 * Two silos with one identity would count as two in every threshold, and a key that was revoked comes
 * back under no name.
 */
async function checkKeyIsNew(tables: Tables, request: SignedEnrolment): Promise<void> {
  if (await tables.revokedKeys.has(request.identityKey)) {
    throw new MedleyError('PKI_CERTIFICATE_REVOKED', 'the identity key was revoked');
  }
  const others = (await tables.silos.list()).filter(({ name }) => name !== request.silo);
  const isTaken = others.some(
    ({ identityKey }) => identityKey && equalBytes(identityKey, request.identityKey),
  );
  if (isTaken) throw new MedleyError('PKI_ENROLMENT_INVALID', 'the identity key is in use');
}

function newSilo(name: string): SiloRow {
  return {
    name,
    state: 'invited',
    requestId: undefined,
    identityKey: undefined,
    fingerprint: '',
    certificateSerial: undefined,
    certificateExpiresMs: undefined,
    lastSeenMs: 0,
  };
}

function keyHash(key: Uint8Array): string {
  return toHex(sha256(key));
}
