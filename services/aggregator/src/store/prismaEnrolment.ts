import {
  blob,
  fromNull,
  numberOf,
  optionalBigint,
  optionalBlob,
  optionalNumber,
  orNull,
} from './column.ts';
import type { EnrolmentRequest, Invitation, Silo } from './generated/client.ts';
import type { Db } from './prisma.ts';
import type { InvitationRow, RequestRow, RequestState, SiloRow, SiloState } from './rows.ts';
import type { Tables } from './store.ts';

/** Silos, invitations and requests over Prisma. */
export function enrolmentTables(db: Db): Pick<Tables, 'silos' | 'invitations' | 'requests'> {
  return {
    silos: {
      get: async (name) => optional(await db.silo.findUnique({ where: { name } }), siloOf),
      list: async () => (await db.silo.findMany({ orderBy: { name: 'asc' } })).map(siloOf),
      put: async (row) => {
        const data = siloData(row);
        await db.silo.upsert({ where: { name: row.name }, create: data, update: data });
      },
      touch: async (name, nowMs) => {
        await db.silo.updateMany({ where: { name }, data: { lastSeenMs: BigInt(nowMs) } });
      },
    },
    invitations: {
      get: async (id) => optional(await db.invitation.findUnique({ where: { id } }), invitationOf),
      put: async (row) => {
        const data = {
          ...row,
          secretHash: blob(row.secretHash),
          createdMs: BigInt(row.createdMs),
          expiresMs: BigInt(row.expiresMs),
          usedBy: orNull(row.usedBy),
        };
        await db.invitation.upsert({ where: { id: row.id }, create: data, update: data });
      },
    },
    requests: {
      get: async (id) =>
        optional(await db.enrolmentRequest.findUnique({ where: { id } }), requestOf),
      put: async (row) => {
        const data = {
          ...row,
          identityKey: blob(row.identityKey),
          signature: blob(row.signature),
          createdMs: BigInt(row.createdMs),
          certificatePem: orNull(row.certificatePem),
          reason: orNull(row.reason),
        };
        await db.enrolmentRequest.upsert({ where: { id: row.id }, create: data, update: data });
      },
    },
  };
}

function optional<In, Out>(found: In | null, convert: (row: In) => Out): Out | undefined {
  return found === null ? undefined : convert(found);
}

function siloData(row: SiloRow): Silo {
  return {
    name: row.name,
    state: row.state,
    requestId: orNull(row.requestId),
    identityKey: optionalBlob(row.identityKey),
    fingerprint: row.fingerprint,
    certificateSerial: orNull(row.certificateSerial),
    certificateExpiresMs: optionalBigint(row.certificateExpiresMs),
    lastSeenMs: BigInt(row.lastSeenMs),
  };
}

function siloOf(row: Silo): SiloRow {
  return {
    name: row.name,
    // The column's CHECK admits no other word; so for every state below.
    state: row.state as SiloState,
    requestId: fromNull(row.requestId),
    identityKey: fromNull(row.identityKey),
    fingerprint: row.fingerprint,
    certificateSerial: fromNull(row.certificateSerial),
    certificateExpiresMs: optionalNumber(row.certificateExpiresMs),
    lastSeenMs: numberOf(row.lastSeenMs),
  };
}

function invitationOf(row: Invitation): InvitationRow {
  return {
    ...row,
    createdMs: numberOf(row.createdMs),
    expiresMs: numberOf(row.expiresMs),
    usedBy: fromNull(row.usedBy),
  };
}

function requestOf(row: EnrolmentRequest): RequestRow {
  return {
    ...row,
    state: row.state as RequestState,
    createdMs: numberOf(row.createdMs),
    certificatePem: fromNull(row.certificatePem),
    reason: fromNull(row.reason),
  };
}
