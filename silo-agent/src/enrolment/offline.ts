import { MedleyError, toBase64, writeDurably, type Clock, type JsonSchema } from '@medley/kit';
import { readAuthorities } from '@medley/pki';
import { readDocument } from '../file.ts';
import type { AgentHome } from '../home.ts';
import type { Keys } from '../keystore.ts';
import { checkCertificate } from './collect.ts';
import { readEnrolment, writeEnrolment, type EnrolmentRecord } from './record.ts';
import {
  ownFingerprint,
  ownInvitation,
  pendingRecord,
  signedRequest,
  type PendingEnrolment,
} from './request.ts';

/** What the operator answers to a request that came as a file. */
interface Answer {
  readonly medley: 'enrolment-answer/v1';
  readonly requestId: string;
  readonly certificatePem: string;
  readonly caPem: string;
}

const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 65_536 };
const ANSWER: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'requestId', 'certificatePem', 'caPem'],
  properties: {
    medley: { const: 'enrolment-answer/v1' },
    requestId: { ...text, maxLength: 100 },
    certificatePem: text,
    caPem: text,
  },
};

/** Stands in enrolment.json until the answer names the request. */
const BY_FILE = 'by-file';

/**
 * Writes the request for the operator to a file, for a site that cannot reach the enrolment port. It
 * holds the invitation's secret, which serves this one request. Throws as `requestEnrolment` does,
 * apart from the network.
 */
export async function requestByFile(options: {
  readonly home: AgentHome;
  readonly keys: Keys;
  readonly token: string;
  readonly file: string;
  readonly clock: Clock;
}): Promise<PendingEnrolment> {
  const { home, keys, file } = options;
  const invitation = ownInvitation(home, options.token, options.clock.nowMs());
  const { identityKey, signature, csrPem, silo, invitationId } = signedRequest(invitation, keys);
  const request = {
    medley: 'enrolment-request/v1',
    consortium: invitation.consortium,
    silo,
    invitationId,
    invitationSecret: toBase64(invitation.secret),
    csrPem,
    identityKey: toBase64(identityKey),
    signature: toBase64(signature),
  };
  await writeDurably(file, `${JSON.stringify(request, undefined, 2)}\n`, { mode: 0o600 });
  const record = pendingRecord(invitation, BY_FILE);
  await writeEnrolment(home.paths, record);
  return { record, fingerprint: ownFingerprint(keys) };
}

/**
 * Takes the operator's answer from a file: the authority must have the pin of the invitation, and have
 * issued the certificate for this site and its key. Throws AGENT_NOT_ENROLLED when no request waits,
 * AGENT_STATE_INVALID for a file that is no answer, PKI_PIN_MISMATCH, PKI_CERTIFICATE_*.
 */
export async function acceptAnswer(options: {
  readonly home: AgentHome;
  readonly keys: Keys;
  readonly file: string;
  readonly clock: Clock;
}): Promise<EnrolmentRecord> {
  const { home, keys, file, clock } = options;
  const record = await readEnrolment(home.paths);
  if (record?.state !== 'pending') {
    throw new MedleyError('AGENT_NOT_ENROLLED', 'no enrolment waits for an answer');
  }
  const answer = await readDocument<Answer>(file, ANSWER);
  if (!answer) throw new MedleyError('FILE_UNREADABLE', `${file} is not there`);
  const { certificatePem, caPem, requestId } = answer;
  const pinned = readAuthorities(caPem).find(({ spkiSha256 }) => spkiSha256 === record.caPin);
  if (!pinned) throw new MedleyError('PKI_PIN_MISMATCH', 'the answer is of another authority');
  checkCertificate(certificatePem, pinned.pem, { keys, record, clock });
  await writeDurably(home.paths.authority, pinned.pem);
  await writeDurably(home.paths.certificate, certificatePem);
  const enrolled: EnrolmentRecord = { ...record, state: 'enrolled', requestId };
  await writeEnrolment(home.paths, enrolled);
  return enrolled;
}
