import { MedleyError } from '@medley/kit';
import { buildCrl, isRevocationReason, type Authority, type Revocation } from '@medley/pki';
import type { AdminMethods, Client, RevokedCertificate__Output } from '@medley/rpc';
import type { CommandContext } from './context.ts';

/** The authority's list says nothing for longer: it is signed again at every revocation, else by hand. */
const LIST_DAYS = 30;
const DAY_MS = 86_400_000;

/**
 * Signs the authority's revocation list over everything that was revoked and publishes it. Gives the
 * number of certificates in it. Throws RPC_MESSAGE_INVALID for a list that cannot be, PKI_*.
 */
export async function publishList(
  admin: Client<AdminMethods>,
  authority: Authority,
  context: Pick<CommandContext, 'clock' | 'signal'>,
): Promise<number> {
  const nowMs = context.clock.nowMs();
  const { revoked } = await admin.listRevocations({}, context);
  const own = revoked.filter(({ issuer }) => issuer === 'authority').map(revocationOf);
  const crlPem = buildCrl({
    authority,
    revoked: own,
    nowMs,
    nextUpdateMs: nowMs + LIST_DAYS * DAY_MS,
    // Seconds: grows with every list.
    number: Math.floor(nowMs / 1000),
  });
  await admin.publishRevocations({ crlPem }, context);
  return own.length;
}

function revocationOf({ serial, atMs, reason }: RevokedCertificate__Output): Revocation {
  if (!/^[0-9a-f]{1,40}$/.test(serial) || !isRevocationReason(reason)) {
    throw new MedleyError('RPC_MESSAGE_INVALID', 'a revoked certificate is malformed');
  }
  return { serial, atMs: Number(atMs), reason };
}
