import { Enrolment, serve, type Served } from '@medley/rpc';
import { invitationSecretHash } from '@medley/pki';
import type { EnrolmentDesk } from '../enrolment/enrolment.ts';

/** The service of the first contact: no certificate, so nothing but signed requests counts. */
export function enrolmentService(desk: EnrolmentDesk): Served {
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
  });
}
