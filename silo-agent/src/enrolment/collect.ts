import { createPublicKey } from 'node:crypto';
import {
  isMedleyError,
  MedleyError,
  readText,
  sha256,
  toHex,
  writeDurably,
  type Clock,
  type Rng,
} from '@medley/kit';
import { signStatement, verifyIssued } from '@medley/pki';
import type { Client, EnrolmentMethods } from '@medley/rpc';
import { Backoff } from '../backoff.ts';
import type { AgentHome } from '../home.ts';
import type { Keys } from '../keystore.ts';
import { enrolmentAddress, writeEnrolment, type EnrolmentRecord } from './record.ts';
import { dialEnrolment } from './request.ts';

/** Pauses between questions while people telephone: 1 s at first, then up to 15 s. */
const POLL = { firstMs: 1_000, maxMs: 15_000 };

export interface CollectOptions {
  readonly home: AgentHome;
  readonly keys: Keys;
  readonly record: EnrolmentRecord;
  /** False: ask once. */
  readonly wait: boolean;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly signal: AbortSignal;
  /** Told when a question found nobody; asking goes on. */
  readonly onUnreachable?: (error: MedleyError) => void;
}

/**
 * Asks for the operator's decision until there is one; on approval checks the certificate, stores
 * tls.pem and marks enrolment.json. May be cancelled and begun again at any time.
 *
 * Without `wait` undefined means that the operator has not decided. Throws ENROLMENT_REFUSED with the operator's reason,
 * PKI_CERTIFICATE_* for a certificate that is not ours, INTERRUPTED, RPC_*.
 */
export async function collectEnrolment(
  options: CollectOptions,
): Promise<EnrolmentRecord | undefined> {
  const { home, record, signal } = options;
  const caPem = await readText(home.paths.authority, 'AGENT_NOT_ENROLLED');
  const door = dialEnrolment(enrolmentAddress(home, record), caPem);
  const backoff = new Backoff(POLL, options.clock, options.rng);
  try {
    for (;;) {
      const certPem = await ask(door, options);
      if (certPem !== undefined) {
        checkCertificate(certPem, caPem, options);
        await writeDurably(home.paths.certificate, certPem);
        const enrolled: EnrolmentRecord = { ...record, state: 'enrolled' };
        await writeEnrolment(home.paths, enrolled);
        return enrolled;
      }
      if (!options.wait) return undefined;
      await backoff.pause(signal);
    }
  } finally {
    door.close();
  }
}

/** The certificate, or undefined while the request is pending. */
async function ask(
  door: Client<EnrolmentMethods>,
  options: CollectOptions,
): Promise<string | undefined> {
  const { requestId } = options.record;
  const { signature } = signStatement(options.keys.identity, 'collect', { requestId });
  try {
    const reply = await door.collectEnrolment({ requestId, signature }, { signal: options.signal });
    switch (reply.state) {
      case 'APPROVED':
        return reply.certificatePem;
      case 'REFUSED':
        throw new MedleyError('ENROLMENT_REFUSED', `reason: ${reply.reason.slice(0, 500)}`);
      case 'PENDING':
        return undefined;
      case 'STATE_UNSPECIFIED':
        throw new MedleyError('RPC_MESSAGE_INVALID', 'the state of the enrolment is not said');
    }
  } catch (caught) {
    const isPassing =
      isMedleyError(caught) &&
      (caught.code === 'RPC_UNAVAILABLE' || caught.code === 'RPC_DEADLINE');
    if (!isPassing || !options.wait) throw caught;
    options.onUnreachable?.(caught);
    return undefined;
  }
}

/** Throws PKI_CERTIFICATE_* unless the authority issued the certificate for this silo and its key. */
export function checkCertificate(
  certPem: string,
  caPem: string,
  { keys, record, clock }: Pick<CollectOptions, 'keys' | 'record' | 'clock'>,
): void {
  const { subject, spkiSha256 } = verifyIssued(certPem, caPem, clock.nowMs(), 'silo');
  const spki = createPublicKey(keys.tlsKeyPem).export({ type: 'spki', format: 'der' });
  if (subject.name !== record.silo || spkiSha256 !== toHex(sha256(spki))) {
    throw new MedleyError('PKI_CERTIFICATE_INVALID', 'the certificate is for another silo or key');
  }
}
