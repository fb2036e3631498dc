import { MedleyError, readText, type JsonSchema } from '@medley/kit';
import type { Endpoints } from '@medley/pki';
import { readDocument, writeDocument } from '../file.ts';
import type { AgentHome, HomePaths } from '../home.ts';

/** enrolment.json: how far this hospital's enrolment has come. Holds no secret. */
export interface EnrolmentRecord {
  readonly medley: 'enrolment/v1';
  readonly state: 'pending' | 'enrolled';
  readonly consortium: string;
  readonly silo: string;
  readonly endpoints: Endpoints;
  /** Hex SHA-256 of the authority's SubjectPublicKeyInfo. */
  readonly caPin: string;
  readonly invitationId: string;
  readonly requestId: string;
}

const text: JsonSchema = { type: 'string', minLength: 1, maxLength: 300 };
const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: [
    ...['medley', 'state', 'consortium', 'silo', 'endpoints', 'caPin', 'invitationId', 'requestId'],
  ],
  properties: {
    medley: { const: 'enrolment/v1' },
    state: { enum: ['pending', 'enrolled'] },
    consortium: text,
    silo: text,
    endpoints: {
      type: 'object',
      additionalProperties: false,
      required: ['enrolment', 'rounds'],
      properties: { enrolment: text, rounds: text },
    },
    caPin: text,
    invitationId: text,
    requestId: text,
  },
};

/** Undefined before the first enrolment. Throws AGENT_STATE_INVALID. */
export async function readEnrolment(paths: HomePaths): Promise<EnrolmentRecord | undefined> {
  return readDocument<EnrolmentRecord>(paths.enrolment, SCHEMA);
}

export async function writeEnrolment(paths: HomePaths, record: EnrolmentRecord): Promise<void> {
  await writeDocument(paths.enrolment, record);
}

/** Where the aggregator answers silos without a certificate: as configured, else as invited. */
export function enrolmentAddress({ config }: AgentHome, record: EnrolmentRecord): string {
  return config.network.enrolment ?? record.endpoints.enrolment;
}

/** What an enrolled hospital connects with. */
export interface Membership {
  readonly record: EnrolmentRecord;
  /** Every authority that is trusted here, PEM. */
  readonly caPem: string;
  /** The hospital's certificate, and the renewal authority's when that signed it. */
  readonly certPem: string;
}

/** Throws AGENT_NOT_ENROLLED, and ENROLMENT_PENDING while the operator has not decided. */
export async function openMembership(paths: HomePaths): Promise<Membership> {
  const record = await readEnrolment(paths);
  if (!record) throw new MedleyError('AGENT_NOT_ENROLLED', `${paths.enrolment} is not there`);
  if (record.state === 'pending') {
    throw new MedleyError('ENROLMENT_PENDING', `request ${record.requestId} of ${record.silo}`);
  }
  const [caPem, certPem] = await Promise.all([
    readText(paths.authority, 'AGENT_NOT_ENROLLED'),
    readText(paths.certificate, 'AGENT_NOT_ENROLLED'),
  ]);
  return { record, caPem, certPem };
}
