import {
  Admin,
  Audit,
  connect,
  type AdminMethods,
  type AuditMethods,
  Enrolment,
  type Client,
  type EnrolmentMethods,
  type ClientTls,
} from '@medley/rpc';
import { aggregatorEndpoints, auditAddress, type OperatorHome } from './home.ts';

/** A client of the aggregator's admin service; the caller closes it. */
export async function connectAdmin(home: OperatorHome): Promise<Client<AdminMethods>> {
  const { rounds: address } = await aggregatorEndpoints(home);
  return connect({ service: Admin, address, tls: tlsOf(home, 'aggregator') });
}

/** Calls `use` with a client of the aggregator's admin service and closes it afterwards. */
export async function withAdmin<T>(
  home: OperatorHome,
  use: (admin: Client<AdminMethods>) => Promise<T>,
): Promise<T> {
  const admin = await connectAdmin(home);
  try {
    return await use(admin);
  } finally {
    admin.close();
  }
}

/** Calls `use` with a client of the aggregator's enrolment service and closes it afterwards. */
export async function withDoor<T>(
  home: OperatorHome,
  use: (door: Client<EnrolmentMethods>) => Promise<T>,
): Promise<T> {
  const { enrolment: address } = await aggregatorEndpoints(home);
  const tls = { caPem: home.caPem, serverRole: 'aggregator' } as const;
  const door = connect({ service: Enrolment, address, tls });
  try {
    return await use(door);
  } finally {
    door.close();
  }
}

/** Calls `use` with a client of the audit service and closes it afterwards. */
export async function withAudit<T>(
  home: OperatorHome,
  use: (audit: Client<AuditMethods>) => Promise<T>,
): Promise<T> {
  const address = await auditAddress(home);
  const audit = connect({ service: Audit, address, tls: tlsOf(home, 'audit') });
  try {
    return await use(audit);
  } finally {
    audit.close();
  }
}

function tlsOf(home: OperatorHome, serverRole: 'aggregator' | 'audit'): ClientTls {
  return { caPem: home.caPem, certPem: home.certPem, keyPem: home.keyPem, serverRole };
}
