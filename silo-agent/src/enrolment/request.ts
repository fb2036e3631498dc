import { MedleyError, writeDurably, type Clock } from '@medley/kit';
import {
  createCsr,
  fingerprintWords,
  invitationSecretHash,
  readInvitation,
  signEnrolment,
  type Invitation,
  type SignedEnrolment,
} from '@medley/pki';
import {
  connect,
  Enrolment,
  fetchAuthority,
  type Client,
  type EnrolmentMethods,
} from '@medley/rpc';
import type { AgentHome } from '../home.ts';
import type { Keys } from '../keystore.ts';
import { writeEnrolment, type EnrolmentRecord } from './record.ts';

/** A request that waits for the operator, and what to read out to the operator. */
export interface PendingEnrolment {
  readonly record: EnrolmentRecord;
  /** The six words of this hospital's identity key. */
  readonly fingerprint: string;
}

/** The enrolment service of a server that shows a certificate of `caPem` with role aggregator. */
export function dialEnrolment(address: string, caPem: string): Client<EnrolmentMethods> {
  return connect({ service: Enrolment, address, tls: { caPem, serverRole: 'aggregator' } });
}

/**
 * Hands in this hospital's keys under an invitation. The server is trusted only after its authority
 * has the invitation's pin. The same token again gives the same request, so a lost answer costs
 * nothing. Stores ca.pem and enrolment.json.
 *
 * Throws PKI_INVITATION_*, AGENT_SITE_MISMATCH, RPC_* (RPC_PIN_MISMATCH among them),
 * PKI_ENROLMENT_INVALID when the server names another fingerprint than this side computes.
 */
export async function requestEnrolment(options: {
  readonly home: AgentHome;
  readonly keys: Keys;
  readonly token: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<PendingEnrolment> {
  const { home, keys, signal } = options;
  const { paths } = home;
  const invitation = ownInvitation(home, options.token, options.clock.nowMs());
  const { enrolment } = invitation.endpoints;
  const caPem = await fetchAuthority({ address: enrolment, pin: invitation.caPin, signal });
  const requestId = await handIn(invitation, keys, caPem, signal);
  await writeDurably(paths.authority, caPem);
  const record = pendingRecord(invitation, requestId);
  await writeEnrolment(paths, record);
  return { record, fingerprint: ownFingerprint(keys) };
}

/** The invitation, if it is this site's. Throws PKI_INVITATION_*, AGENT_SITE_MISMATCH. */
export function ownInvitation({ config }: AgentHome, token: string, nowMs: number): Invitation {
  const invitation = readInvitation(token, nowMs);
  if (invitation.silo === config.site.id) return invitation;
  throw new MedleyError(
    'AGENT_SITE_MISMATCH',
    `it is for ${invitation.silo}, not ${config.site.id}`,
  );
}

/** An enrolment that waits for the operator. */
export function pendingRecord(invitation: Invitation, requestId: string): EnrolmentRecord {
  const { consortium, silo, endpoints, caPin, id: invitationId } = invitation;
  const named = { consortium, silo, endpoints, caPin, invitationId };
  return { medley: 'enrolment/v1', state: 'pending', ...named, requestId };
}

/** What this hospital asks for under the invitation, signed by its identity key. */
export function signedRequest(
  { id, secret, silo, consortium }: Invitation,
  keys: Keys,
): SignedEnrolment {
  return signEnrolment(keys.identity, {
    invitationId: id,
    secretHash: invitationSecretHash(secret),
    silo,
    csrPem: createCsr({ privateKeyPem: keys.tlsKeyPem, consortium, name: silo }),
  });
}

/** Six words as people read them out. */
export function ownFingerprint(keys: Keys): string {
  return fingerprintWords(keys.identity.publicKey).join(' ');
}

async function handIn(
  invitation: Invitation,
  keys: Keys,
  caPem: string,
  signal: AbortSignal,
): Promise<string> {
  const { id, silo } = invitation;
  const signed = signedRequest(invitation, keys);
  const door = dialEnrolment(invitation.endpoints.enrolment, caPem);
  try {
    const receipt = await door.requestEnrolment(
      {
        invitationId: id,
        invitationSecret: invitation.secret,
        silo,
        csrPem: signed.csrPem,
        identityKey: signed.identityKey,
        signature: signed.signature,
      },
      { signal },
    );
    if (!isSameWords(receipt.fingerprint, ownFingerprint(keys)) || receipt.requestId === '') {
      throw new MedleyError('PKI_ENROLMENT_INVALID', 'the server answers for another identity key');
    }
    return receipt.requestId;
  } finally {
    door.close();
  }
}

/** However the server writes them: spaces, hyphens, capitals do not count. */
function isSameWords(told: string, own: string): boolean {
  const words = (text: string): string =>
    text
      .toLowerCase()
      .split(/[^a-z]+/)
      .filter(Boolean)
      .join(' ');
  return words(told) === words(own);
}
