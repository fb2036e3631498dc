import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  checkSchema,
  MedleyError,
  parseYaml,
  readText,
  syncFolder,
  takeLock,
  timestamp,
  writeDurably,
  type Clock,
  type JsonSchema,
  type ProcessTable,
} from '@medley/kit';

/** The folders of one consortium; a part that is elsewhere is left out. */
export type Homes = Readonly<Partial<Record<HomeName, string>>>;
export type HomeName = (typeof HOME_NAMES)[number];
export const HOME_NAMES = ['operator', 'aggregator', 'audit'] as const;

/** What a backup holds: manifest.json says it, and restoring checks it. */
export interface Manifest {
  readonly medley: 'backup/v1';
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly homes: readonly HomeName[];
  /** Paths below the backup, with `/`. */
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    readonly sha256: string;
    /** Permission bits. */
    readonly mode: number;
  }[];
}

const MANIFEST = 'manifest.json';
/** Of a running process: they mean nothing elsewhere. SQLite makes its shared memory anew. */
const PASSING = /(^|\/)(endpoints\.json|.*\.lock(\.\d+)?|.*-shm)$/;

const SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['medley', 'at', 'homes', 'files'],
  properties: {
    medley: { const: 'backup/v1' },
    at: { type: 'string' },
    homes: { type: 'array', minItems: 1, items: { enum: [...HOME_NAMES] } },
    files: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['path', 'sizeBytes', 'sha256', 'mode'],
        properties: {
          // Below one of the homes, and never upwards.
          path: {
            type: 'string',
            pattern: '^(operator|aggregator|audit)(/(?!\\.\\.?(/|$))[^/\\\\]+)+$',
          },
          sizeBytes: { type: 'integer', minimum: 0 },
          sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
          mode: { type: 'integer', minimum: 0, maximum: 511 },
        },
      },
    },
  },
};

/**
 * Copies the homes into the new folder `out`, each file with its hash. The aggregator must not run: its
 * lock is held meanwhile, so that database and blobs belong together. `out` appears whole or not at all.
 *
 * Throws AGGREGATOR_RUNNING, BACKUP_EXISTS, OPERATOR_HOME_MISSING when no home is there, BACKUP_OUTSIDE
 * when the aggregator keeps its store outside its home, FILE_*.
 */
export async function backUp(options: {
  readonly homes: Homes;
  readonly out: string;
  readonly clock: Clock;
  readonly processes: ProcessTable;
}): Promise<Manifest> {
  const { homes, out, processes } = options;
  if (await isThere(out)) throw new MedleyError('BACKUP_EXISTS', out);
  const present: [HomeName, string][] = [];
  for (const name of HOME_NAMES) {
    const folder = homes[name];
    if (folder !== undefined && (await isThere(folder))) present.push([name, folder]);
  }
  if (present.length === 0) throw new MedleyError('OPERATOR_HOME_MISSING', 'no home is there');
  const aggregator = present.find(([name]) => name === 'aggregator')?.[1];
  const database = aggregator === undefined ? undefined : await databaseOf(aggregator);
  const lock =
    database === undefined
      ? undefined
      : await takeLock(`${database}.lock`, processes, 'AGGREGATOR_RUNNING');
  const partial = `${out}.partial`;
  try {
    await rm(partial, { recursive: true, force: true });
    const files: Manifest['files'][number][] = [];
    for (const [name, folder] of present) {
      for (const path of await filesBelow(folder)) {
        const from = join(folder, path);
        const target = `${name}/${path}`;
        const mode = (await stat(from)).mode & 0o777;
        files.push({ path: target, mode, ...(await copy(from, join(partial, target), mode)) });
      }
    }
    const manifest: Manifest = {
      medley: 'backup/v1',
      at: timestamp(options.clock.nowMs()),
      homes: present.map(([name]) => name),
      files,
    };
    await writeDurably(join(partial, MANIFEST), `${JSON.stringify(manifest, undefined, 1)}\n`);
    await rename(partial, out);
    await syncFolder(dirname(out));
    return manifest;
  } finally {
    await lock?.release();
  }
}

/**
 * Puts a backup's homes where they are named. Every file is checked against the manifest before the
 * first is written, and nothing is overwritten.
 *
 * Throws BACKUP_DAMAGED naming the file, BACKUP_EXISTS for a home that holds something, USAGE for a
 * home of the backup that is not named, FILE_*.
 */
export async function restore(from: string, homes: Homes): Promise<Manifest> {
  const manifest = await readManifest(from);
  for (const name of manifest.homes) {
    const folder = homes[name];
    if (folder === undefined) throw new MedleyError('USAGE', `where does ${name} go?`);
    const isFree = !(await isThere(folder)) || (await readdir(folder)).length === 0;
    if (!isFree) throw new MedleyError('BACKUP_EXISTS', `${folder} holds something`);
  }
  for (const { path, sha256 } of manifest.files) {
    const found = await hashOf(join(from, path));
    if (found !== sha256) throw new MedleyError('BACKUP_DAMAGED', path);
  }
  for (const { path, sha256, mode } of manifest.files) {
    // The schema admits no other first part.
    const [name, ...rest] = path.split('/') as [HomeName, ...string[]];
    const done = await copy(join(from, path), join(homes[name] ?? '', ...rest), mode);
    if (done.sha256 !== sha256) throw new MedleyError('BACKUP_DAMAGED', path);
  }
  return manifest;
}

async function readManifest(from: string): Promise<Manifest> {
  const text = await readText(join(from, MANIFEST));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MedleyError('BACKUP_DAMAGED', MANIFEST, { cause });
  }
  checkSchema(value, SCHEMA, 'BACKUP_DAMAGED');
  return value as Manifest;
}

/** The aggregator's database. Throws BACKUP_OUTSIDE unless it and the blobs lie below its home. */
async function databaseOf(home: string): Promise<string> {
  const file = join(home, 'aggregator.yaml');
  const any: JsonSchema = { type: 'object' };
  const { value } = parseYaml<{ readonly database?: unknown; readonly blobs?: unknown }>(
    await readText(file),
    file,
    any,
  );
  const at = (path: unknown, usual: string): string =>
    resolve(home, typeof path === 'string' ? path : usual);
  const [database, blobs] = [at(value.database, 'medley.db'), at(value.blobs, 'blobs')];
  for (const path of [database, blobs]) {
    if (relative(home, path).startsWith('..')) throw new MedleyError('BACKUP_OUTSIDE', path);
  }
  return database;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((path) => !PASSING.test(path))
    .sort();
}

/** Copies in pieces, whatever the size, and syncs. */
async function copy(
  from: string,
  to: string,
  mode: number,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const tap = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    await pipeline(
      createReadStream(from),
      tap,
      createWriteStream(to, { mode, flags: 'wx', flush: true }),
    );
    await syncFolder(dirname(to));
  } catch (cause) {
    throw new MedleyError('FILE_UNWRITABLE', to, { cause });
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  } catch (cause) {
    throw new MedleyError('BACKUP_DAMAGED', file, { cause });
  }
  return hash.digest('hex');
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
