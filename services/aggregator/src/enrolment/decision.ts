import { equalBytes, fromHex, MedleyError } from '@medley/kit';
import {
  isName,
  readCertificate,
  readCsr,
  verifyIssued,
  type Certificate,
  type SignedEnrolment,
  type VerifiedEnrolment,
} from '@medley/pki';
import type { InvitationRow, RequestRow, SiloRow } from '../store/rows.ts';

/** An invitation as the operator orders it. */
export interface InvitationOrder {
  readonly silo: string;
  readonly invitationId: string;
  readonly secretHash: Uint8Array;
  readonly expiresMs: number;
}

/**
 * Whether an invitation may be stored. Throws PKI_NAME_INVALID, PKI_INVITATION_INVALID for malformed
 * fields or an id in use, PKI_INVITATION_EXPIRED, SILO_ENROLLED.
 */
export function checkInvitation(
  order: InvitationOrder,
  silo: SiloRow | undefined,
  taken: InvitationRow | undefined,
  nowMs: number,
): void {
  if (!isName(order.silo)) throw new MedleyError('PKI_NAME_INVALID', 'the silo name');
  if (!/^[0-9a-f]{16}$/.test(order.invitationId) || order.secretHash.length !== 32) {
    throw new MedleyError('PKI_INVITATION_INVALID', `invitation of ${order.silo} is malformed`);
  }
  if (taken) {
    throw new MedleyError('PKI_INVITATION_INVALID', `invitation ${taken.id} exists already`);
  }
  if (order.expiresMs <= nowMs) {
    throw new MedleyError('PKI_INVITATION_EXPIRED', `invitation ${order.invitationId}`);
  }
  // A second identity under an enrolled name would change charters that were signed with the first.
  if (silo?.state === 'enrolled') throw new MedleyError('SILO_ENROLLED', `silo ${silo.name}`);
}

/**
 * Whether a request, whose own signatures were verified, may use the invitation. Gives the request
 * that was stored when it is the very same one. The secret is compared first and in constant time,
 * so that a caller without it learns nothing of the invitation.
 *
 * Throws PKI_INVITATION_INVALID (unknown, other secret, other silo), PKI_INVITATION_USED,
 * PKI_INVITATION_EXPIRED and PKI_ENROLMENT_INVALID for another consortium.
 */
export function admitRequest(
  request: SignedEnrolment,
  verified: VerifiedEnrolment,
  known: {
    readonly consortium: string;
    readonly invitation: InvitationRow | undefined;
    readonly earlier: RequestRow | undefined;
    readonly nowMs: number;
  },
): RequestRow | undefined {
  const { invitation, earlier } = known;
  const presented = fromHex(request.secretHash) ?? new Uint8Array();
  const isRight = equalBytes(invitation?.secretHash ?? new Uint8Array(32), presented);
  if (!invitation || !isRight || invitation.silo !== request.silo) {
    throw new MedleyError('PKI_INVITATION_INVALID', `invitation ${request.invitationId}`);
  }
  if (invitation.usedBy !== undefined) {
    if (earlier && isSameRequest(earlier, request)) return earlier;
    throw new MedleyError('PKI_INVITATION_USED', `invitation ${invitation.id}`);
  }
  if (known.nowMs >= invitation.expiresMs) {
    throw new MedleyError('PKI_INVITATION_EXPIRED', `invitation ${invitation.id}`);
  }
  if (verified.csr.consortium !== known.consortium) {
    throw new MedleyError('PKI_ENROLMENT_INVALID', 'the request is for another consortium');
  }
  return undefined;
}

/**
 * Whether a certificate is the one for a request: issued by the consortium's authority, for the key
 * of the stored CSR and the silo of the request. Throws PKI_CERTIFICATE_* and ENROLMENT_CERTIFICATE.
 */
export function checkApproval(
  request: RequestRow,
  certificatePem: string,
  caPem: string,
  nowMs: number,
): Certificate {
  // One certificate and nothing behind it: the authority itself signs the first one of a silo.
  const { pem } = readCertificate(certificatePem);
  const certificate = verifyIssued(pem, caPem, nowMs, 'silo');
  if (certificate.subject.name !== request.silo) {
    throw new MedleyError('ENROLMENT_CERTIFICATE', `it names another silo than ${request.silo}`);
  }
  if (certificate.spkiSha256 !== readCsr(request.csrPem).spkiSha256) {
    throw new MedleyError('ENROLMENT_CERTIFICATE', `it is for another key of ${request.silo}`);
  }
  return certificate;
}

function isSameRequest(row: RequestRow, request: SignedEnrolment): boolean {
  return (
    row.csrPem === request.csrPem &&
    equalBytes(row.identityKey, request.identityKey) &&
    equalBytes(row.signature, request.signature)
  );
}
