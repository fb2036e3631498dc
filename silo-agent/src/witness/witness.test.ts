import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { isMedleyError, ManualClock, MedleyError, utf8 } from '@medley/kit';
import {
  addSignatures,
  formatVerifierKey,
  leafHash,
  logKeyFromSeed,
  MerkleTree,
  openCheckpoint,
  parseCheckpoint,
  parseVerifierKey,
  signCheckpoint,
  verifierKeyOf,
  verifyConsistency,
} from '@medley/merkle';
import { proveOver, witnessKeyOf } from '../../../tests/support/witness.ts';
import { readFork, readHead, type ForkEvidence } from './record.ts';
import { Witness, type ProveLog, type Shown } from './witness.ts';

const NOW_MS = Date.parse('2026-11-23T08:00:00.000Z');
const LOG = logKeyFromSeed('medley/test', new Uint8Array(32).fill(1));
const VERIFIER = formatVerifierKey(verifierKeyOf('log', LOG));
const KEY = witnessKeyOf('alder');
const signal = new AbortController().signal;

const honest = Array.from({ length: 20 }, (_, i) => utf8(`leaf ${i}`));
/** The same log but for one leaf. */
const rewritten = honest.map((leaf, i) => (i === 3 ? utf8('another leaf 3') : leaf));

let folder: string;
let files: { readonly head: string; readonly fork: string };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'medley-witness-'));
  files = { head: join(folder, 'head.json'), fork: join(folder, 'fork.json') };
});
afterEach(() => rm(folder, { recursive: true }));

function witness(prove: ProveLog = proveOver(honest)): Witness {
  return new Witness({ files, key: KEY, prove, clock: new ManualClock(NOW_MS) });
}

function checkpoint(leaves: readonly Uint8Array[], size: number, key = LOG): string {
  const root = new MerkleTree(leaves.slice(0, size).map(leafHash)).root();
  return signCheckpoint({ origin: key.name, size, root }, key);
}

function newest(note: string): Shown {
  return { note, verifierKey: VERIFIER, isNewest: true };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (caught) {
    return isMedleyError(caught) ? caught.code : String(caught);
  }
}

/** Both notes are the log's own words, and no proof that is kept joins them. */
function convicts(evidence: ForkEvidence): boolean {
  const trusted = [parseVerifierKey(evidence.verifierKey)];
  const heads = [evidence.held, evidence.shown].map((note) => openCheckpoint(note, trusted));
  const [a, b] = heads.sort((one, other) => one.size - other.size) as [
    (typeof heads)[0],
    (typeof heads)[0],
  ];
  const proof = evidence.proof.map((hash) => new Uint8Array(Buffer.from(hash, 'base64')));
  const { size: fromSize, root: fromRoot } = a;
  const { size: toSize, root: toRoot } = b;
  try {
    verifyConsistency({ fromSize, fromRoot, toSize, toRoot, proof });
    return false;
  } catch {
    return true;
  }
}

describe('a witness', () => {
  test('cosigns checkpoints that continue each other, and keeps the newest before it answers', async () => {
    const one = witness();
    await one.observe(newest(checkpoint(honest, 5)), signal);
    const head = await one.observe(newest(checkpoint(honest, 12)), signal);
    expect(await readHead(files)).toEqual(head);
    const keys = [verifierKeyOf('log', LOG), verifierKeyOf('witness', KEY)];
    const { signers } = openCheckpoint(addSignatures(head.note, head.cosignature), keys);
    expect(signers.map(({ role }) => role)).toEqual(['log', 'witness']);
    expect(signers[1]).toMatchObject({ timeS: NOW_MS / 1000 });
  });

  test('says the same word again after a restart, without a new proof', async () => {
    const note = checkpoint(honest, 5);
    const first = await witness().observe(newest(note), signal);
    const never: ProveLog = () => Promise.reject(new Error('no proof is needed'));
    expect(await witness(never).observe(newest(note), signal)).toEqual(first);
  });

  test('answers nothing that is not on disk', async () => {
    files = { ...files, head: join(folder, 'blocked', 'head.json') };
    const one = witness();
    await one.load();
    // A file where the folder should be.
    await writeFile(join(folder, 'blocked'), '');
    expect(await codeOf(one.observe(newest(checkpoint(honest, 5)), signal))).toBe(
      'FILE_UNWRITABLE',
    );
    expect(one.head).toBeUndefined();
  });

  test('takes an older checkpoint of the same history that is not said to be the newest', async () => {
    const one = witness();
    await one.observe(newest(checkpoint(honest, 12)), signal);
    const older = { ...newest(checkpoint(honest, 5)), isNewest: false };
    expect((await one.observe(older, signal)).size).toBe(12);
  });

  test.each([
    ['another root at one size', 12, 12, 'fork'],
    ['a rewritten leaf under a larger tree', 12, 16, 'fork'],
    ['a smaller tree as the newest', 12, 5, 'rollback'],
  ])('catches %s and keeps what convicts the log', async (_what, held, shown, kind) => {
    const one = witness(proveOver(rewritten));
    await one.observe(newest(checkpoint(honest, held)), signal);
    const before = await readFile(files.head, 'utf8');
    const leaves = kind === 'rollback' ? honest : rewritten;
    const lie = newest(checkpoint(leaves, shown));
    expect(await codeOf(one.observe(lie, signal))).toBe('LOG_FORKED');
    const evidence = (await readFork(files))!;
    expect(evidence).toMatchObject({ kind, verifierKey: VERIFIER, shown: lie.note });
    expect(parseCheckpoint(evidence.held).size).toBe(held);
    expect(convicts(evidence)).toBe(true);
    // It has vouched for nothing of it.
    expect(await readFile(files.head, 'utf8')).toBe(before);
  });

  test('an older checkpoint of another history is a fork, newest or not', async () => {
    const one = witness(proveOver(rewritten));
    await one.observe(newest(checkpoint(honest, 12)), signal);
    const lie = { ...newest(checkpoint(rewritten, 5)), isNewest: false };
    expect(await codeOf(one.observe(lie, signal))).toBe('LOG_FORKED');
  });

  test('a log that refuses to prove what it signed is caught', async () => {
    const refuses: ProveLog = () => Promise.reject(new MedleyError('AUDIT_RANGE', 'no'));
    const one = witness(refuses);
    await one.observe(newest(checkpoint(honest, 5)), signal);
    expect(await codeOf(one.observe(newest(checkpoint(honest, 9)), signal))).toBe('LOG_FORKED');
    expect((await readFork(files))?.kind).toBe('unproven');
  });

  test('a connection that breaks during the proof convicts nobody', async () => {
    let isBroken = true;
    const one = witness((...sizes) =>
      isBroken
        ? Promise.reject(new MedleyError('RPC_UNAVAILABLE', 'gone'))
        : proveOver(honest)(...sizes),
    );
    await one.observe(newest(checkpoint(honest, 5)), signal);
    const next = newest(checkpoint(honest, 9));
    expect(await codeOf(one.observe(next, signal))).toBe('RPC_UNAVAILABLE');
    expect(await readFork(files)).toBeUndefined();
    isBroken = false;
    expect((await one.observe(next, signal)).size).toBe(9);
  });

  test('has no more to do with a log once it was caught, after a restart as well', async () => {
    const one = witness(proveOver(rewritten));
    await one.observe(newest(checkpoint(honest, 12)), signal);
    await codeOf(one.observe(newest(checkpoint(rewritten, 16)), signal));
    const again = witness();
    expect(await codeOf(again.check())).toBe('LOG_FORKED');
    expect(await codeOf(again.observe(newest(checkpoint(honest, 16)), signal))).toBe('LOG_FORKED');
  });

  test('believes no other key than the first one, and keeps no checkpoint that the log did not sign', async () => {
    const one = witness();
    await one.observe(newest(checkpoint(honest, 5)), signal);
    const other = logKeyFromSeed('medley/test', new Uint8Array(32).fill(2));
    const verifierKey = formatVerifierKey(verifierKeyOf('log', other));
    const foreign = { note: checkpoint(honest, 9, other), verifierKey, isNewest: true };
    expect(await codeOf(one.observe(foreign, signal))).toBe('MERKLE_SIGNATURE_MISSING');
    expect(one.head?.size).toBe(5);
    expect(await readFork(files)).toBeUndefined();
  });
});
