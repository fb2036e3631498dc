import {
  canonicalBytes,
  MedleyError,
  sha256,
  timestamp,
  toBase64,
  toHex,
  type Clock,
  type Rng,
} from '@medley/kit';
import {
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  readTile,
  tilePath,
  tilesFor,
  type TreeHead,
} from '@medley/merkle';
import type { AdminMethods, AuditMethods, Client } from '@medley/rpc';
import { decodeEvent, EVENT_SCHEMAS, type TrailEvent } from '@medley/trail';
import type { OperatorHome } from '../home.ts';
import { bundleReadme } from './readme.ts';
import { CharterShelf, entryLine, extractOf, publicPem } from './extract.ts';
import type { BundleFolder } from './folder.ts';
import { logOf, manifestBytes, MANIFEST_SCHEMA, signManifest } from './manifest.ts';
import type { BundleManifest } from './manifest.ts';
import { Survey, type ExportScope, type Selection } from './selection.ts';
import { spoolLog, type SpooledLog } from './source.ts';
import { writeSurroundings, type Surrounding } from './surrounding.ts';
import { WitnessRoll } from './witness.ts';

/** What an export is of, and for whom. */
export interface ExportOrder {
  readonly scope: ExportScope;
  readonly recipient: string;
  /** How long to wait until enough hospitals vouch for the newest entries. */
  readonly waitMs: number;
}

export interface ExportParts extends Surrounding {
  readonly home: OperatorHome;
  readonly audit: Client<AuditMethods>;
  readonly admin: Client<AdminMethods>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly signal: AbortSignal;
  readonly version: string;
  /** Told what is being done, in words. */
  readonly progress: (line: string) => void;
}

/** What an export came to. */
export interface ExportReport {
  readonly manifestHash: string;
  /** Entry of the log that records the export. */
  readonly entry: number;
  readonly scope: BundleManifest['scope'];
  readonly entries: BundleManifest['entries'];
  readonly files: number;
  readonly bytes: number;
  readonly gaps: readonly string[];
}

const POLL_MS = 200;

/**
 * Fills a folder with the bundle and has the log record it, before the folder gets its name. Throws
 * AUDIT_FAILED, AUDIT_SCOPE_UNKNOWN, TRAIL_EVENT_INVALID for a log that is none, FILE_*, and what calls
 * throw.
 */
export async function fillBundle(
  folder: BundleFolder,
  order: ExportOrder,
  parts: ExportParts,
): Promise<ExportReport> {
  const { home, audit, signal, progress } = parts;
  const notes = await checkpointsOf(audit, signal);
  const newest = notes.at(-1);
  if (newest === undefined) throw new MedleyError('AUDIT_FAILED', 'the log has no checkpoint');
  const { size } = parseCheckpoint(newest);
  const log = await spoolLog(audit, folder, size, {
    signal,
    progress: (done) => progress(`entry ${done} of ${size}`),
  });
  const survey = new Survey(order.scope);
  const roll = new WitnessRoll();
  for await (const [, leaf] of log.leaves()) {
    const event = decodeEvent(leaf);
    survey.read(event);
    roll.read(event);
  }
  const selection = survey.close();
  const checkpoints = await settled(parts, { notes, roll, waitMs: order.waitMs, size });
  progress('writing the bundle');
  const entries = await writeEntries(folder, log, selection);
  const head = await writeLog(folder, log, checkpoints, home.logVerifierKey);
  if (entries.withheld > 0) await folder.remove('tile/entries');
  const gaps = await writeSurroundings(folder, parts);
  await writeSchemas(folder);
  await folder.write('README.md', bundleReadme(home.config.consortium));
  const manifest: BundleManifest = {
    medley: 'audit-bundle/v1',
    consortium: home.config.consortium,
    operator: home.config.operator,
    recipient: order.recipient,
    created: timestamp(parts.clock.nowMs()),
    software: { name: 'medley', version: parts.version },
    log: logOf(head, home.logVerifierKey),
    scope: { ...selection.scope, ...selection.range },
    entries,
    gaps,
    files: folder.files,
  };
  return seal(folder, manifest, parts);
}

async function checkpointsOf(
  audit: Client<AuditMethods>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const notes: string[] = [];
  for await (const { note } of audit.listCheckpoints({}, { signal })) notes.push(note);
  return notes;
}

/** The same checkpoints, asked for again until enough hospitals vouch for the newest, or time is over. */
async function settled(
  { audit, clock, signal, progress }: ExportParts,
  {
    notes,
    roll,
    waitMs,
    size,
  }: {
    readonly notes: readonly string[];
    readonly roll: WitnessRoll;
    readonly waitMs: number;
    readonly size: number;
  },
): Promise<readonly string[]> {
  const end = clock.nowMs() + waitMs;
  let present = notes;
  while (roll.hasWitnesses && !roll.isFinal(present.at(-1) ?? '') && clock.nowMs() < end) {
    progress('waiting until enough hospitals vouch for the newest entries');
    await clock.sleep(POLL_MS, signal);
    const all = await checkpointsOf(audit, signal);
    present = all.filter((note) => parseCheckpoint(note).size <= size);
  }
  return present;
}

async function writeEntries(
  folder: BundleFolder,
  log: SpooledLog,
  selection: Selection,
): Promise<BundleManifest['entries']> {
  const shelf = new CharterShelf();
  let [delivered, inScope] = [0, 0];
  for await (const [index, leaf] of log.leaves()) {
    const event: TrailEvent = decodeEvent(leaf);
    const choice = selection.choose(index, event);
    if (choice === 'withheld') continue;
    delivered++;
    if (choice === 'scope') inScope++;
    shelf.read(event);
    const line = entryLine(index, leaf);
    await folder.append('entries.jsonl', line);
    const extract = extractOf(event);
    if (extract !== undefined) await folder.append(extract, line);
  }
  await folder.settle();
  await shelf.write(folder);
  return { delivered, inScope, withheld: log.size - delivered };
}

/** Tiles with the hash of every entry, checkpoints, proofs and keys. */
async function writeLog(
  folder: BundleFolder,
  { tree }: SpooledLog,
  notes: readonly string[],
  verifierKey: string,
): Promise<TreeHead> {
  for (const tile of tilesFor(tree.size)) {
    await folder.write(tilePath(tile), readTile(tree.source, tile));
  }
  const key = parseVerifierKey(verifierKey);
  const heads = notes.map((note) => openCheckpoint(note, [key]));
  const proofs = heads.slice(1).map(({ size: to }, i) => {
    const from = heads[i]!.size;
    return { from, to, hashes: tree.consistencyProof(from, to).map(toBase64) };
  });
  const newest = notes.at(-1) ?? '';
  const { note } = parseCheckpoint(newest);
  const own = note.signatures.find(({ keyId }) => keyId === key.keyId);
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
  await folder.write('checkpoints.json', json(notes));
  await folder.write('checkpoint', newest);
  await folder.write('log.vkey', `${verifierKey}\n`);
  await folder.write('keys/log.pub.pem', publicPem(key.publicKey));
  await folder.write('proofs/consistency.json', json(proofs));
  await folder.write('proofs/checkpoint.txt', note.text);
  await folder.write('proofs/checkpoint.sig', own?.payload ?? new Uint8Array());
  const head = heads.at(-1);
  if (!head) throw new MedleyError('AUDIT_FAILED', 'the log has no checkpoint');
  return head;
}

async function writeSchemas(folder: BundleFolder): Promise<void> {
  for (const [type, schema] of Object.entries(EVENT_SCHEMAS)) {
    await folder.write(`schemas/events/${type}.json`, `${JSON.stringify(schema, undefined, 2)}\n`);
  }
  const manifest = `${JSON.stringify(MANIFEST_SCHEMA, undefined, 2)}\n`;
  await folder.write('schemas/manifest.json', manifest);
}

/** Signs the manifest, has the log record it, and keeps the proof of that. */
async function seal(
  folder: BundleFolder,
  manifest: BundleManifest,
  { home, admin, signal }: ExportParts,
): Promise<ExportReport> {
  const bytes = manifestBytes(manifest);
  await folder.writeBeside('manifest.json', bytes);
  await folder.writeBeside('manifest.sig', signManifest(bytes, home.keyPem));
  const { scope, log, recipient } = manifest;
  const reply = await admin.recordExport(
    {
      manifestHash: sha256(bytes),
      format: 'bundle/v1',
      first: String(scope.first),
      end: String(scope.end),
      size: String(log.size),
      study: scope.study ?? '',
      silo: scope.silo ?? '',
      recipient,
    },
    { signal },
  );
  const receipt = {
    medley: 'export-receipt/v1',
    index: Number(reply.index),
    leaf: new TextDecoder().decode(reply.leaf),
    checkpoint: reply.checkpoint,
    path: reply.path.map((hash) => toBase64(hash)),
    consistency: reply.consistency.map((hash) => toBase64(hash)),
  };
  await folder.writeBeside('receipt.json', canonicalBytes(receipt));
  return {
    manifestHash: toHex(sha256(bytes)),
    entry: receipt.index,
    scope,
    entries: manifest.entries,
    files: manifest.files.length,
    bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0),
    gaps: manifest.gaps,
  };
}
