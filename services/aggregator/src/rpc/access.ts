import { MedleyError } from '@medley/kit';
import { requireRole, type CallContext } from '@medley/rpc';
import type { Store } from '../store/store.ts';

/** Roles that certificates carry and methods ask for; `none` is the enrolment listener. */
type Access = 'none' | 'silo' | 'operator';

/** Who may call what. A method that is not here cannot be called at all. */
export const ACCESS: Readonly<Record<string, Access>> = {
  'Enrolment.requestEnrolment': 'none',
  'Enrolment.collectEnrolment': 'none',
  'Rounds.attend': 'silo',
  'Rounds.listStudies': 'silo',
  'Rounds.getStudy': 'silo',
  'Rounds.signCharter': 'silo',
  'Rounds.refuseCharter': 'silo',
  'Rounds.fetchBlob': 'silo',
  'Rounds.advertise': 'silo',
  'Rounds.share': 'silo',
  'Rounds.submit': 'silo',
  'Rounds.confirm': 'silo',
  'Rounds.release': 'silo',
  'Rounds.withdraw': 'silo',
  'Admin.invite': 'operator',
  'Admin.listSilos': 'operator',
  'Admin.getEnrolment': 'operator',
  'Admin.approveSilo': 'operator',
  'Admin.refuseSilo': 'operator',
  'Admin.proposeStudy': 'operator',
  'Admin.startStudy': 'operator',
  'Admin.getStudyStatus': 'operator',
  'Admin.watchStudy': 'operator',
  'Admin.listAllStudies': 'operator',
  'Admin.getModel': 'operator',
  'Admin.fetchModel': 'operator',
};

export interface AccessParts {
  readonly store: Store;
  readonly consortium: string;
}

/**
 * Admits a call or refuses it. A silo is looked up in the store on each call, so that a revocation
 * holds at once: TLS alone would honour its certificate until it expires. Throws
 * RPC_UNAUTHENTICATED, RPC_FORBIDDEN.
 */
export async function authorise(parts: AccessParts, context: CallContext): Promise<void> {
  const access = Object.hasOwn(ACCESS, context.method) ? ACCESS[context.method] : undefined;
  switch (access) {
    case undefined:
      throw new MedleyError('RPC_FORBIDDEN', `${context.method} is not served`);
    case 'none':
      return;
    case 'operator':
      checkConsortium(parts, context, 'operator');
      return;
    case 'silo': {
      const { name, serial } = checkConsortium(parts, context, 'silo');
      await checkEnrolled(parts.store, name, serial);
    }
  }
}

/** Throws RPC_FORBIDDEN unless the silo is enrolled with this very certificate. */
export async function checkEnrolled(store: Store, name: string, serial: string): Promise<void> {
  const silo = await store.tables.silos.get(name);
  if (silo?.state !== 'enrolled' || silo.certificateSerial !== serial) {
    throw new MedleyError('RPC_FORBIDDEN', `certificate ${serial} of ${name} is not in force`);
  }
}

function checkConsortium(
  { consortium }: AccessParts,
  context: CallContext,
  role: 'silo' | 'operator',
): { readonly name: string; readonly serial: string } {
  const peer = requireRole(context, role);
  if (peer.consortium !== consortium) {
    throw new MedleyError('RPC_FORBIDDEN', `a certificate of consortium ${peer.consortium}`);
  }
  return peer;
}
