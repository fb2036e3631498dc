import { toHex } from '@medley/kit';
import { clone, sortable, sorted } from './memoryRow.ts';
import type { ApprovalRow, CertificateRow, OperatorRow, RevokedKeyRow, TokenRow } from './rows.ts';
import type { Tables } from './store.ts';

/** Who may connect and who decided it, in memory. */
export interface IdentityContents {
  certificates: Map<string, CertificateRow>;
  revokedKeys: Map<string, RevokedKeyRow>;
  approvals: Map<string, ApprovalRow>;
  operators: Map<string, OperatorRow>;
  tokens: Map<string, TokenRow>;
  settings: Map<string, string>;
}

export function emptyIdentity(): IdentityContents {
  return {
    certificates: new Map(),
    revokedKeys: new Map(),
    approvals: new Map(),
    operators: new Map(),
    tokens: new Map(),
    settings: new Map(),
  };
}

export function copyOfIdentity(from: IdentityContents): IdentityContents {
  return {
    certificates: new Map(from.certificates),
    revokedKeys: new Map(from.revokedKeys),
    approvals: new Map(from.approvals),
    operators: new Map(from.operators),
    tokens: new Map(from.tokens),
    settings: new Map(from.settings),
  };
}

type IdentityTables = Pick<
  Tables,
  'certificates' | 'revokedKeys' | 'approvals' | 'operators' | 'tokens' | 'settings'
>;

export function identityOver(at: () => IdentityContents): IdentityTables {
  return {
    certificates: {
      get: async (serial) => clone(at().certificates.get(serial)),
      ofRequest: async (hash) =>
        clone([...at().certificates.values()].find((row) => row.requestHash === hash)),
      of: async (silo) =>
        sorted(at().certificates, (row) => `${sortable(row.issuedMs)} ${row.serial}`).filter(
          (row) => row.silo === silo,
        ),
      revoked: async () =>
        sorted(at().certificates, (row) => row.serial).filter((row) => row.revokedMs !== undefined),
      put: async (row) => void at().certificates.set(row.serial, clone(row)),
    },
    revokedKeys: {
      has: async (identityKey) => at().revokedKeys.has(toHex(identityKey)),
      put: async (row) => void at().revokedKeys.set(toHex(row.identityKey), clone(row)),
    },
    approvals: {
      of: async (requestId) =>
        sorted(at().approvals, (row) => row.operator).filter((row) => row.requestId === requestId),
      put: async (row) => void at().approvals.set(`${row.requestId} ${row.operator}`, clone(row)),
    },
    operators: {
      get: async (name) => clone(at().operators.get(name)),
      list: async () => sorted(at().operators, (row) => row.name),
      put: async (row) => void at().operators.set(row.name, clone(row)),
    },
    tokens: {
      get: async (id) => clone(at().tokens.get(id)),
      list: async () => sorted(at().tokens, (row) => `${sortable(row.createdMs)} ${row.id}`),
      put: async (row) => void at().tokens.set(row.id, clone(row)),
    },
    settings: {
      get: async (name) => at().settings.get(name),
      put: async (name, value) => void at().settings.set(name, value),
    },
  };
}
