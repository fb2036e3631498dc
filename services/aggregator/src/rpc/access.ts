import { MedleyError, type Clock } from '@medley/kit';
import { requireRole, type Admission, type CallContext, type Peer } from '@medley/rpc';
import { bearerOf, openToken } from '../accounts/tokens.ts';
import type { Store } from '../store/store.ts';
import { PERMISSIONS, STREAMS, type Permission } from './permission.ts';
import type { Sessions } from './sessions.ts';

export interface AccessParts {
  readonly store: Store;
  readonly consortium: string;
  readonly clock: Clock;
  readonly sessions: Sessions;
}

/**
 * Admits a call or refuses it. Silos and operators are looked up in the store on each call, so that a
 * revocation holds at once: TLS alone would honour their certificates until they expire. Calls that
 * stay open end when the admission does.
 *
 * Throws RPC_UNAUTHENTICATED, RPC_FORBIDDEN, PKI_CERTIFICATE_REVOKED, PKI_CERTIFICATE_EXPIRED,
 * ACCOUNT_DISABLED, TOKEN_INVALID.
 */
export async function authorise(
  parts: AccessParts,
  context: CallContext,
): Promise<Admission | undefined> {
  const { method } = context;
  const permission = Object.hasOwn(PERMISSIONS, method) ? PERMISSIONS[method] : undefined;
  switch (permission?.caller) {
    case undefined:
      throw new MedleyError('RPC_FORBIDDEN', `${method} is not served`);
    case 'anyone':
      return undefined;
    case 'operator':
      return admitOperator(parts, context, permission);
    case 'silo': {
      const { name, serial } = checkConsortium(parts, context, 'silo');
      // Before the store is asked: an admission that ends meanwhile ends this call too.
      const end = endOf(parts, method, 'silo', name);
      await checkEnrolled(parts, name, serial);
      return end;
    }
  }
}

/**
 * Throws RPC_FORBIDDEN unless the silo is enrolled and the certificate is one of its own that is in
 * force; PKI_CERTIFICATE_REVOKED and PKI_CERTIFICATE_EXPIRED where it was.
 */
export async function checkEnrolled(
  { store, clock }: Pick<AccessParts, 'store' | 'clock'>,
  name: string,
  serial: string,
): Promise<void> {
  const { silos, certificates } = store.tables;
  const row = await certificates.get(serial);
  const who = `certificate ${serial} of ${name}`;
  if (row?.silo === name && row.revokedMs !== undefined) {
    throw new MedleyError('PKI_CERTIFICATE_REVOKED', who);
  }
  if (row?.silo !== name || (await silos.get(name))?.state !== 'enrolled') {
    throw new MedleyError('RPC_FORBIDDEN', `${who} is not in force`);
  }
  if (clock.nowMs() > row.untilMs) throw new MedleyError('PKI_CERTIFICATE_EXPIRED', who);
}

type OperatorPermission = Extract<Permission, { readonly caller: 'operator' }>;

async function admitOperator(
  parts: AccessParts,
  context: CallContext,
  permission: OperatorPermission,
): Promise<Admission> {
  const { operators } = parts.store.tables;
  const bearer = context.peer ? undefined : bearerOf(context.metadata);
  const peer =
    bearer === undefined
      ? checkConsortium(parts, context, 'operator')
      : await openToken(parts, bearer, permission.scope);
  const end = endOf(parts, context.method, 'operator', peer.name);
  const account = await operators.get(peer.name);
  if (!account) throw new MedleyError('RPC_FORBIDDEN', `${peer.name} has no account`);
  if (account.state === 'disabled') throw new MedleyError('ACCOUNT_DISABLED', peer.name);
  const { certificateSerial } = account;
  const isOther = certificateSerial !== undefined && certificateSerial !== peer.serial;
  if (bearer === undefined && isOther) {
    throw new MedleyError('PKI_CERTIFICATE_REVOKED', `${peer.name} has another certificate now`);
  }
  if (!permission.roles.some((role) => account.roles.includes(role))) {
    throw new MedleyError(
      'RPC_FORBIDDEN',
      `${context.method} needs one of the roles ${permission.roles.join(', ')}`,
    );
  }
  return { peer, ...end };
}

function endOf(
  { sessions }: AccessParts,
  method: string,
  kind: 'silo' | 'operator',
  name: string,
): { readonly until?: AbortSignal } {
  return STREAMS.has(method) ? { until: sessions.until(kind, name) } : {};
}

function checkConsortium(
  { consortium }: AccessParts,
  context: CallContext,
  role: 'silo' | 'operator',
): Peer {
  const peer = requireRole(context, role);
  if (peer.consortium !== consortium) {
    throw new MedleyError('RPC_FORBIDDEN', `a certificate of consortium ${peer.consortium}`);
  }
  return peer;
}
