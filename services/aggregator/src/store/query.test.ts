import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaClient, type Prisma } from './generated/client.ts';
import { migrate, ownMigrations } from './migrate.ts';
import { delegateOf, type Delegate } from './query.ts';
import { readModels } from './schema.ts';
import { openSqlite, type SqliteClient } from './sqlite.ts';

let folder: string;
let client: SqliteClient;
let ours: Prisma.TransactionClient;
let prisma: PrismaClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-query-'));
  const file = join(folder, 'a.db');
  client = await openSqlite(file);
  await migrate(client, await ownMigrations(), 0);
  const delegates: Record<string, Delegate> = {};
  for (const [name, model] of readModels()) delegates[name] = delegateOf(client, model);
  ours = delegates as unknown as Prisma.TransactionClient;
  prisma = new PrismaClient({ adapter: new PrismaLibSql({ url: pathToFileURL(file).href }) });
});
afterEach(async () => {
  await prisma.$disconnect();
  client.close();
  await rm(folder, { recursive: true });
});

const silo = (name: string, lastSeenMs: bigint) => ({
  name,
  state: 'enrolled',
  requestId: null,
  identityKey: new Uint8Array(32).fill(255),
  fingerprint: 'bal tor',
  certificateSerial: name === 'birch' ? null : `serial of ${name}`,
  certificateExpiresMs: 1_900_000_000_000n,
  lastSeenMs,
});
const certificate = (serial: string, revokedMs: bigint | null) => ({
  ...{ serial, silo: 'alder', issuer: 'authority', issuedMs: 7n, untilMs: 9n, chainPem: 'pem' },
  ...{ requestHash: null, revokedMs, reason: revokedMs === null ? null : 'lost' },
});

test('every model of the schema has a table with just its columns', async () => {
  for (const { table, columns } of readModels().values()) {
    const { rows } = await client.execute(`PRAGMA table_info(${table})`);
    expect(rows.map((row) => row['name']).sort()).toEqual(
      [...columns.values()].map(({ name }) => name).sort(),
    );
  }
});

test('reads what Prisma wrote just as Prisma reads it', async () => {
  for (const name of ['birch', 'alder', 'cedar'])
    await prisma.silo.create({ data: silo(name, 2n ** 40n) });
  await prisma.certificate.createMany({ data: [certificate('b', 5n), certificate('a', null)] });
  await prisma.logEntry.createMany({
    data: [0, 1, 2, 3].map((idx) => ({
      idx,
      leaf: new Uint8Array([idx]),
      hash: new Uint8Array(32),
    })),
  });
  const asked = async (db: Prisma.TransactionClient): Promise<unknown[]> => [
    await db.silo.findUnique({ where: { name: 'birch' } }),
    await db.silo.findUnique({ where: { name: 'nobody' } }),
    await db.silo.findMany({ orderBy: { name: 'asc' } }),
    await db.silo.findFirst({
      where: { state: 'enrolled' },
      orderBy: [{ state: 'asc' }, { name: 'desc' }],
    }),
    await db.silo.findMany({ where: { name: { notIn: ['alder', 'birch'] } } }),
    await db.silo.findMany({
      where: { name: { in: ['alder', 'birch'] } },
      orderBy: { name: 'asc' },
    }),
    await db.certificate.findMany({ where: { revokedMs: { not: null } } }),
    await db.logEntry.findMany({ where: { idx: { gte: 1, lt: 3 } }, orderBy: { idx: 'desc' } }),
    await db.logEntry.count(),
    await db.approval.findUnique({
      where: { requestId_operator: { requestId: 'r', operator: 'o' } },
    }),
  ];
  expect(await asked(ours)).toEqual(await asked(prisma));
});

test('writes what Prisma reads back, field for field', async () => {
  const first = silo('alder', 1n);
  await ours.silo.create({ data: first });
  expect(await prisma.silo.findMany()).toEqual([first]);
  const second = { ...silo('alder', 5n), state: 'revoked', identityKey: null };
  await ours.silo.upsert({ where: { name: 'alder' }, create: second, update: second });
  expect(await prisma.silo.findMany()).toEqual([second]);
  await ours.silo.updateMany({ where: { name: 'alder' }, data: { lastSeenMs: { increment: 2n } } });
  await ours.silo.updateMany({ where: { name: 'nobody' }, data: { fingerprint: 'x' } });
  expect(await prisma.silo.findMany()).toEqual([{ ...second, lastSeenMs: 7n }]);
});

test('refuses forms that it does not know instead of guessing', async () => {
  const refused = { code: 'INTERNAL' };
  const like = ours.silo.findMany({ where: { name: { contains: 'a' } } });
  await expect(like).rejects.toMatchObject(refused);
  await expect(ours.silo.findMany({ where: { OR: [] } })).rejects.toMatchObject(refused);
  const two = { where: { name: 'a' }, create: silo('a', 1n), update: { state: 'revoked' } };
  await expect(ours.silo.upsert(two)).rejects.toMatchObject(refused);
});
