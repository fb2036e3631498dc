import { blob, fromNull, numberOf, optionalBigint, optionalNumber, orNull } from './column.ts';
import type { Certificate, Operator, Token } from './generated/client.ts';
import type { Db } from './prisma.ts';
import type { CertificateRow, OperatorRole, OperatorRow, TokenRow, TokenScope } from './rows.ts';
import type { Tables } from './store.ts';

type IdentityTables = Pick<
  Tables,
  'certificates' | 'revokedKeys' | 'approvals' | 'operators' | 'tokens' | 'settings'
>;

/** Certificates, operators, tokens and settings over Prisma. */
export function identityTables(db: Db): IdentityTables {
  return {
    certificates: certificatesTable(db),
    revokedKeys: {
      has: async (key) =>
        (await db.revokedKey.findUnique({ where: { identityKey: blob(key) } })) !== null,
      put: async (row) => {
        const identityKey = blob(row.identityKey);
        const data = { identityKey, silo: row.silo, atMs: BigInt(row.atMs) };
        await db.revokedKey.upsert({ where: { identityKey }, create: data, update: data });
      },
    },
    approvals: {
      of: async (requestId) => {
        const rows = await db.approval.findMany({
          where: { requestId },
          orderBy: { operator: 'asc' },
        });
        return rows.map((row) => ({ ...row, atMs: numberOf(row.atMs) }));
      },
      put: async ({ requestId, operator, atMs }) => {
        const data = { requestId, operator, atMs: BigInt(atMs) };
        const where = { requestId_operator: { requestId, operator } };
        await db.approval.upsert({ where, create: data, update: data });
      },
    },
    operators: {
      get: async (name) => optional(await db.operator.findUnique({ where: { name } }), operatorOf),
      list: async () => (await db.operator.findMany({ orderBy: { name: 'asc' } })).map(operatorOf),
      put: async (row) => {
        const data = {
          ...row,
          roles: row.roles.join(' '),
          certificateSerial: orNull(row.certificateSerial),
          createdMs: BigInt(row.createdMs),
        };
        await db.operator.upsert({ where: { name: row.name }, create: data, update: data });
      },
    },
    tokens: tokensTable(db),
    settings: {
      get: async (name) => (await db.setting.findUnique({ where: { name } }))?.value,
      put: async (name, value) => {
        const data = { name, value };
        await db.setting.upsert({ where: { name }, create: data, update: data });
      },
    },
  };
}

function certificatesTable(db: Db): Tables['certificates'] {
  return {
    get: async (serial) =>
      optional(await db.certificate.findUnique({ where: { serial } }), certificateOf),
    ofRequest: async (requestHash) =>
      optional(await db.certificate.findUnique({ where: { requestHash } }), certificateOf),
    of: async (silo) => {
      const rows = await db.certificate.findMany({
        where: { silo },
        orderBy: [{ issuedMs: 'asc' }, { serial: 'asc' }],
      });
      return rows.map(certificateOf);
    },
    revoked: async () => {
      const rows = await db.certificate.findMany({
        where: { revokedMs: { not: null } },
        orderBy: { serial: 'asc' },
      });
      return rows.map(certificateOf);
    },
    put: async (row) => {
      const data = {
        ...row,
        issuedMs: BigInt(row.issuedMs),
        untilMs: BigInt(row.untilMs),
        requestHash: orNull(row.requestHash),
        revokedMs: optionalBigint(row.revokedMs),
        reason: orNull(row.reason),
      };
      await db.certificate.upsert({ where: { serial: row.serial }, create: data, update: data });
    },
  };
}

function tokensTable(db: Db): Tables['tokens'] {
  return {
    get: async (id) => optional(await db.token.findUnique({ where: { id } }), tokenOf),
    list: async () => {
      const rows = await db.token.findMany({ orderBy: [{ createdMs: 'asc' }, { id: 'asc' }] });
      return rows.map(tokenOf);
    },
    put: async (row) => {
      const data = {
        ...row,
        secretHash: blob(row.secretHash),
        scopes: row.scopes.join(' '),
        createdMs: BigInt(row.createdMs),
        expiresMs: BigInt(row.expiresMs),
        revokedMs: optionalBigint(row.revokedMs),
      };
      await db.token.upsert({ where: { id: row.id }, create: data, update: data });
    },
  };
}

function optional<In, Out>(found: In | null, convert: (row: In) => Out): Out | undefined {
  return found === null ? undefined : convert(found);
}

function certificateOf(row: Certificate): CertificateRow {
  return {
    ...row,
    // The column's CHECK admits no other word; so for the state of an operator.
    issuer: row.issuer as CertificateRow['issuer'],
    issuedMs: numberOf(row.issuedMs),
    untilMs: numberOf(row.untilMs),
    requestHash: fromNull(row.requestHash),
    revokedMs: optionalNumber(row.revokedMs),
    reason: fromNull(row.reason),
  };
}

function operatorOf(row: Operator): OperatorRow {
  return {
    name: row.name,
    // Words that this program wrote.
    roles: wordsOf(row.roles) as OperatorRole[],
    state: row.state as OperatorRow['state'],
    certificateSerial: fromNull(row.certificateSerial),
    createdMs: numberOf(row.createdMs),
  };
}

function tokenOf(row: Token): TokenRow {
  return {
    ...row,
    scopes: wordsOf(row.scopes) as TokenScope[],
    createdMs: numberOf(row.createdMs),
    expiresMs: numberOf(row.expiresMs),
    revokedMs: optionalNumber(row.revokedMs),
  };
}

function wordsOf(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}
