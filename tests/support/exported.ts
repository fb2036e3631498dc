import { execFile } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuditService, openLogStore, type AuditConfig } from '@medley/audit';
import {
  canonicalBytes,
  sha256,
  silentLogger,
  systemClock,
  toHex,
  writeDurably,
} from '@medley/kit';
import {
  cosignCheckpoint,
  formatVerifierKey,
  logKeyFromSeed,
  parseCheckpoint,
  verifierKeyOf,
} from '@medley/merkle';
import type { Surroundings } from '@medley/operator';
import { signWitness } from '@medley/pki';
import { TestConsortium, type EnrolledSilo, type TestKeys } from './aggregator.ts';
import { runMedley, type Ended } from './operator.ts';
import { SimAgent } from './simAgent.ts';
import { witnessKeyOf } from './witness.ts';

export const STUDY = 'recurrence-5y';
const VERIFIER = fileURLToPath(
  new URL('../../services/operator/verify/verify.mjs', import.meta.url),
);

/** What `verify.mjs --json` said. */
export interface Verdict {
  readonly code: number;
  readonly verified: boolean;
  /** Names of the claims that fail. */
  readonly failing: readonly string[];
  readonly out: string;
}

/** A consortium whose study has run through, vouched for by its hospitals, with an operator's home. */
export interface Exportable {
  readonly consortium: TestConsortium;
  readonly folder: string;
  /** Verifier key of the log. */
  readonly logKey: string;
  /** Key of the operator's certificate, PEM. */
  readonly operatorKey: string;
  medley(...args: readonly (string | Partial<Surroundings>)[]): Promise<Ended>;
  /** Two of the three hospitals vouch for the newest checkpoint. */
  vouch(): Promise<void>;
  close(): Promise<void>;
}

/** A real aggregator and audit service, three hospitals, one study of one training round. */
export async function startExportable(keys?: TestKeys): Promise<Exportable> {
  const consortium = await TestConsortium.create(keys);
  const silos = await runStudy(consortium);
  const folder = await mkdtemp(join(consortium.folder, 'exports-'));
  const vouch = async (): Promise<void> => {
    const { note } = (await consortium.store.tables.checkpoints.list()).at(-1)!;
    for (const silo of silos.slice(0, 2)) await cosign(consortium, silo, note);
  };
  await vouch();
  // The registrations of the witnesses wait for a checkpoint, which stopping signs.
  await consortium.stop();
  await consortium.start();
  await vouch();

  const store = await openLogStore(consortium.config.database);
  const server = consortium.authority.issue('audit', 'audit');
  const tls = {
    ...{ keyPem: server.keyPem, certChainPem: server.chainPem },
    caPem: consortium.authority.caPem,
    requireClientCertificate: true,
  };
  const audit = await createAuditService({ config: AUDIT, tls, store, logger: silentLogger });
  const home = join(consortium.folder, 'operator');
  const own = consortium.authority.issue('operator', 'ada');
  const logKey = formatVerifierKey(
    verifierKeyOf(
      'log',
      logKeyFromSeed('medley/test', sha256(new TextEncoder().encode('log key'))),
    ),
  );
  const { enrolmentAddress: enrolment, roundsAddress: rounds } = consortium.aggregator;
  const config = {
    ...{ apiVersion: 'medley/v1', kind: 'Operator', consortium: 'test', operator: 'ada' },
    aggregator: { enrolment, rounds },
    audit: { address: audit.address },
  };
  const files = {
    'operator.yaml': JSON.stringify(config),
    'ca.pem': consortium.authority.caPem,
    'operator.pem': own.certPem,
    'operator.key.pem': own.keyPem,
    'log.vkey': `${logKey}\n`,
  };
  for (const [name, text] of Object.entries(files)) await writeDurably(join(home, name), text);
  return {
    ...{ consortium, folder, logKey, operatorKey: own.keyPem, vouch },
    medley: (...args) => {
      const words = args.filter((arg) => typeof arg === 'string');
      const around = args.filter((arg) => typeof arg !== 'string');
      return runMedley(
        [...words, '--home', home],
        around.reduce((all, one) => ({ ...all, ...one }), { cwd: folder }),
      );
    },
    close: async () => {
      await audit.close({ graceMs: 0 });
      store.close();
      await consortium.remove();
    },
  };
}

async function runStudy(consortium: TestConsortium): Promise<readonly EnrolledSilo[]> {
  const admin = consortium.admin();
  const silos: EnrolledSilo[] = [];
  for (const name of ['alder', 'birch', 'cedar']) silos.push(await consortium.enrol(admin, name));
  await consortium.propose(admin, (yaml) => yaml.replace('count: 30', 'count: 1'));
  for (const silo of silos) await consortium.sign(silo, STUDY);
  await admin.startStudy({ study: STUDY });
  const agents = silos.map((silo) => new SimAgent(silo));
  const attending = agents.map(async (agent, i) => {
    const client = consortium.rounds(silos[i]!.tls);
    await agent.attend(client);
    client.close();
  });
  for await (const { summary } of admin.watchStudy({ study: STUDY })) {
    if (summary?.state === 'completed') break;
  }
  for (const agent of agents) agent.stop();
  await Promise.all(attending);
  admin.close();
  return silos;
}

async function cosign(consortium: TestConsortium, silo: EnrolledSilo, note: string): Promise<void> {
  const key = witnessKeyOf(silo.name);
  const witnessKey = formatVerifierKey(verifierKeyOf('witness', key));
  const claim = { consortium: 'test', silo: silo.name, verifierKey: witnessKey };
  const client = consortium.rounds(silo.tls);
  await client.cosignCheckpoint({
    treeSize: String(parseCheckpoint(note).size),
    cosignature: cosignCheckpoint(note, key, Math.floor(systemClock.nowMs() / 1000)),
    witnessKey,
    signature: signWitness(silo.identity, claim),
  });
  client.close();
}

/** Runs verify.mjs on a folder in a process of its own. */
export async function verify(folder: string, ...args: readonly string[]): Promise<Verdict> {
  const { code, out } = await call([VERIFIER, folder, '--json', ...args]);
  const report = out.startsWith('{')
    ? (JSON.parse(out) as { verified: boolean; claims: { name: string; ok: boolean }[] })
    : { verified: false, claims: [] };
  const failing = report.claims.filter(({ ok }) => !ok).map(({ name }) => name);
  return { code, verified: report.verified, failing, out };
}

/** Runs `node` with these arguments. */
export function call(args: readonly string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_OPTIONS: '' };
    execFile(process.execPath, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      resolve({
        code: typeof error?.code === 'number' ? error.code : error ? -1 : 0,
        out: stdout + stderr,
      }),
    );
  });
}

/** A copy of a bundle, changed by `change`, judged, and taken away again. */
export async function judged(
  bundle: string,
  change: (copy: string) => Promise<unknown>,
  ...args: readonly string[]
): Promise<Verdict> {
  const copy = await mkdtemp(`${bundle}-`);
  try {
    await cp(bundle, copy, { recursive: true });
    await change(copy);
    return await verify(copy, ...args);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Writes a manifest anew that fits changed files, as an operator could who signs it too. */
export async function remade(folder: string, keyPem: string): Promise<void> {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as {
    files: { path: string; bytes: number; sha256: string }[];
  };
  for (const file of manifest.files) {
    const bytes = await readFile(join(folder, file.path));
    Object.assign(file, { bytes: bytes.length, sha256: toHex(sha256(bytes)) });
  }
  const bytes = canonicalBytes(manifest);
  await writeFile(path, bytes);
  await writeFile(join(folder, 'manifest.sig'), sign('sha256', bytes, createPrivateKey(keyPem)));
}

const AUDIT: AuditConfig = {
  apiVersion: 'medley/v1',
  kind: 'Audit',
  database: 'medley.db',
  listen: '127.0.0.1:0',
  publicHost: '127.0.0.1',
  endpointsFile: 'endpoints.json',
  tls: { key: '', certificate: '', ca: '' },
  logLevel: 'silent',
};
