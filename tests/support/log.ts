import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createClient, type Client } from '@libsql/client';
import { toHex, utf8, sha256 } from '@medley/kit';
import { leafHash, logKeyFromSeed, MerkleTree, signCheckpoint, type LogKey } from '@medley/merkle';

const MIGRATIONS = new URL('../../services/aggregator/prisma/migrations/sqlite/', import.meta.url);

/** An aggregator's database file as the audit service finds it, with hands to write it. */
export interface LogFile {
  readonly file: string;
  readonly key: LogKey;
  /** Over every leaf appended so far. */
  readonly tree: MerkleTree;
  append(...leaves: readonly Uint8Array[]): Promise<void>;
  /** Signs and stores the present tree's checkpoint; gives the note. */
  checkpoint(): Promise<string>;
  silo(name: string, serial: string, state: 'enrolled' | 'revoked'): Promise<void>;
  execute(sql: string): Promise<void>;
  close(): void;
}

/** A new file with the aggregator's own schema, operator ada and no entry, in `folder` or a fresh one. */
export async function createLogFile(
  name = 'medley.db',
  key = logKeyFromSeed('medley/test', sha256(utf8('log'))),
): Promise<LogFile> {
  const file = join(await mkdtemp(join(tmpdir(), 'medley-log-')), name);
  const client: Client = createClient({ url: pathToFileURL(file).href });
  await client.execute('PRAGMA journal_mode = WAL');
  for (const name of (await readdir(MIGRATIONS)).sort()) {
    const sql = await readFile(new URL(`${name}/migration.sql`, MIGRATIONS), 'utf8');
    await client.executeMultiple(sql);
  }
  await client.execute("INSERT INTO operator VALUES ('ada', 'viewer', 'active', NULL, 0)");
  const tree = new MerkleTree();
  return {
    file,
    key,
    tree,
    append: async (...leaves) => {
      for (const leaf of leaves) {
        const hash = leafHash(leaf);
        const args = [tree.append(hash), leaf, hash];
        await client.execute({ sql: 'INSERT INTO log_entry VALUES (?, ?, ?)', args });
      }
    },
    checkpoint: async () => {
      const head = { origin: key.name, size: tree.size, root: tree.root() };
      const note = signCheckpoint(head, key);
      const args = [tree.size, note];
      await client.execute({ sql: 'INSERT INTO checkpoint VALUES (?, ?)', args });
      return note;
    },
    silo: async (silo, serial, state) => {
      const sql =
        'INSERT INTO silo (name, state, fingerprint, certificate_serial, last_seen_ms) VALUES (?, ?, ?, ?, 0)';
      await client.execute({ sql, args: [silo, state, '', serial] });
      const issued =
        "INSERT INTO certificate (serial, silo, issuer, issued_ms, until_ms, chain_pem) VALUES (?, ?, 'authority', 0, ?, '')";
      await client.execute({ sql: issued, args: [serial, silo, 2 ** 52] });
    },
    execute: async (sql) => {
      await client.execute(sql);
    },
    close: () => client.close(),
  };
}

/** `n` distinct leaves, not events: for what does not read them. */
export function testLeaves(n: number, from = 0): Uint8Array[] {
  return Array.from({ length: n }, (_, i) => utf8(`leaf ${toHex(sha256(utf8(String(from + i))))}`));
}
