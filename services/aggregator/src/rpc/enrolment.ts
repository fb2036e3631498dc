import { Enrolment, serve, type Served } from '@medley/rpc';
import { invitationSecretHash } from '@medley/pki';
import type { EnrolmentDesk } from '../enrolment/enrolment.ts';
import type { RenewalDesk } from '../enrolment/renewal.ts';
import type { RevocationDesk } from '../enrolment/revocation.ts';

export interface EnrolmentServiceParts {
  readonly enrolment: EnrolmentDesk;
  readonly renewal: RenewalDesk;
  readonly revocation: RevocationDesk;
  /** Every authority in force, PEM. */
  readonly caPem: string;
  /** The older authority's word for the newer one; empty when there is one. */
  readonly crossPem: string;
}

/** The service of the first contact: no certificate, so nothing but signed requests counts. */
export function enrolmentService({
  enrolment: desk,
  renewal,
  revocation,
  caPem,
  crossPem,
}: EnrolmentServiceParts): Served {
  return serve(Enrolment, {
    requestEnrolment: (request) =>
      desk.request({
        invitationId: request.invitationId,
        secretHash: invitationSecretHash(request.invitationSecret),
        silo: request.silo,
        csrPem: request.csrPem,
        identityKey: new Uint8Array(request.identityKey),
        signature: new Uint8Array(request.signature),
      }),
    collectEnrolment: async ({ requestId, signature }) => {
      const outcome = await desk.collect(requestId, new Uint8Array(signature));
      switch (outcome.state) {
        case 'pending':
          return { state: 'PENDING' };
        case 'approved': {
          const { certificatePem, caPem } = outcome;
          return { state: 'APPROVED', certificatePem, caPem };
        }
        case 'refused':
          return { state: 'REFUSED', reason: outcome.reason };
      }
    },
    renewCertificate: async ({ silo, csrPem, after, identityKey, signature }) => ({
      certificatePem: await renewal.renew({
        silo,
        csrPem,
        after,
        identityKey: new Uint8Array(identityKey),
        signature: new Uint8Array(signature),
      }),
      caPem,
      crossPem,
    }),
    getRevocations: async () => ({ crlPem: await revocation.lists() }),
  });
}
