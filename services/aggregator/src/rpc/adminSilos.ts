import { toHex } from '@medley/kit';
import type { AdminMethods, Handlers, SiloSummary } from '@medley/rpc';
import type { EnrolmentDesk } from '../enrolment/enrolment.ts';
import type { RevocationDesk } from '../enrolment/revocation.ts';
import type { Presence } from '../rounds/presence.ts';
import type { SiloRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { operatorOf, wholeNumber } from './fields.ts';

export interface SiloHandlerParts {
  readonly enrolment: EnrolmentDesk;
  readonly revocation: RevocationDesk;
  readonly store: Store;
  readonly presence: Presence;
  /** How many operators it takes to approve a silo. */
  readonly approvals: number;
  readonly caPem: string;
}

type SiloMethods =
  | 'invite'
  | 'listSilos'
  | 'getEnrolment'
  | 'approveSilo'
  | 'refuseSilo'
  | 'getCertificate'
  | 'revokeSilo'
  | 'listRevocations'
  | 'publishRevocations';

/** What operators do with hospitals. */
export function siloHandlers(parts: SiloHandlerParts): Pick<Handlers<AdminMethods>, SiloMethods> {
  const { enrolment, revocation, store, presence, approvals, caPem } = parts;
  return {
    invite: async ({ silo, invitationId, secretHash, expiresMs }, context) => {
      const order = {
        silo,
        invitationId,
        secretHash: new Uint8Array(secretHash),
        expiresMs: wholeNumber(expiresMs, 'expires_ms'),
      };
      await enrolment.invite(order, operatorOf(context));
      return {};
    },
    listSilos: async () => {
      const rows = await store.tables.silos.list();
      return { silos: rows.map((row) => siloSummary(row, presence.isAttending(row.name))) };
    },
    getEnrolment: async ({ silo }) => {
      const pending = await enrolment.pending(silo);
      const { id, csrPem, identityKey, fingerprint, invitationId, signature } = pending;
      const secretHash = toHex(pending.secretHash);
      const request = { silo: pending.silo, csrPem, identityKey, invitationId, signature };
      return {
        requestId: id,
        fingerprint,
        secretHash,
        ...request,
        approvedBy: [...pending.approvedBy],
        approvalsNeeded: approvals,
        hasCertificate: pending.certificatePem !== undefined,
      };
    },
    approveSilo: async ({ requestId, certificatePem }, context) => {
      const outcome = await enrolment.approve(requestId, certificatePem, operatorOf(context));
      return { ...outcome, approvedBy: [...outcome.approvedBy], approvalsNeeded: approvals };
    },
    refuseSilo: async ({ requestId, reason }, context) => {
      await enrolment.refuse(requestId, reason, operatorOf(context));
      return {};
    },
    getCertificate: async ({ silo }) => ({ ...(await enrolment.certificateOf(silo)), caPem }),
    revokeSilo: async ({ silo, reason, note }, context) => {
      const serials = await revocation.revoke(silo, reason, note, operatorOf(context));
      return { serials: [...serials] };
    },
    listRevocations: async () => ({
      revoked: (await revocation.revoked()).map((row) => ({
        silo: row.silo,
        serial: row.serial,
        issuer: row.issuer,
        atMs: String(row.revokedMs ?? 0),
        reason: row.reason ?? '',
      })),
    }),
    publishRevocations: async ({ crlPem }, context) => {
      await revocation.publish(crlPem, operatorOf(context));
      return {};
    },
  };
}

function siloSummary(row: SiloRow, attending: boolean): SiloSummary {
  return {
    silo: row.name,
    state: row.state,
    fingerprint: row.fingerprint,
    certificateSerial: row.certificateSerial ?? '',
    certificateExpiresMs: String(row.certificateExpiresMs ?? 0),
    lastSeenMs: String(row.lastSeenMs),
    attending,
  };
}
