import { createPrivateKey } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildMlp } from '@medley/autodiff';
import {
  assembleAggregator,
  openBlobs,
  prismaStore,
  type AggregatorConfig,
} from '@medley/aggregator';
import { canonicalBytes, seededRng, sha256, silentLogger, utf8, type Clock } from '@medley/kit';
import { logKeyFromSeed, type LogKey } from '@medley/merkle';
import { openIdentity, type Identity } from '@medley/pki';
import { SERVER_LIMITS, toChunks, type CallContext } from '@medley/rpc';
import { threadMasker } from '@medley/secagg';
import {
  EXAMPLE_STUDY,
  featureCount,
  readCharter,
  readStudy,
  type Charter,
  type Study,
} from '@medley/study';
import { StudyFolder } from '../../silo-agent/src/study/folder.ts';
import { checkDocuments } from '../../silo-agent/src/study/offer.ts';
import { signDecision } from '../../silo-agent/src/study/signature.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { homeOf } from './site.ts';

/** A hospital of the simulated consortium. */
export interface Member {
  readonly index: number;
  readonly silo: string;
  readonly identity: Identity;
  /** Of the certificate that the aggregator honours. */
  readonly serial: string;
}

/** A consortium whose study has been signed by all and started; every run begins with a copy of it. */
export interface Consortium {
  readonly folder: string;
  readonly config: AggregatorConfig;
  readonly caPem: string;
  readonly logKey: LogKey;
  readonly members: readonly Member[];
  readonly study: Study;
  readonly charter: Charter;
  /** The ONNX file. */
  readonly model: Uint8Array;
  readonly startMs: number;
}

const START_MS = Date.parse('2026-11-23T08:00:00.000Z');
/** One training round and the evaluation: the round that is disturbed and the one after it. */
const STUDY_TEXT = EXAMPLE_STUDY.replace('count: 30', 'count: 1')
  .replace('scoreBins: 50', 'scoreBins: 10')
  .replace('standardise: true', 'standardise: false');
const STUDY_BYTES = utf8(STUDY_TEXT);

const CLOCK: Clock = { nowMs: () => START_MS, sleep: () => new Promise(() => undefined) };

/** Makes the consortium of `silos` hospitals in `folder`, which must exist. */
export async function makeConsortium(silos: number, folder: string): Promise<Consortium> {
  const study = readStudy(STUDY_BYTES, 'study.yaml');
  const { caPem } = await createTestAuthority('test');
  const logKey = logKeyFromSeed('medley/test', sha256(utf8('log key of the simulation')));
  const members = Array.from({ length: silos }, (_, i) => memberOf(i + 1));
  const setup = { config: configOf(), caPem, logKey, members };
  const { charterBytes, model } = await startStudy(join(folder, 'hub'), setup, study);
  for (const member of members) {
    const { identity, silo } = member;
    const site = { consortium: 'test', silo, publicKey: identity.publicKey };
    const documents = checkDocuments(STUDY_BYTES, charterBytes, model, site);
    const signed = signDecision(draftOf(documents.charter, silo), identity);
    const { paths } = homeOf(member, join(folder, silo));
    await new StudyFolder(paths, study.name, site).pin(documents, signed);
  }
  const charter = readCharter(charterBytes);
  return { folder, ...setup, study, charter, model, startMs: START_MS };
}

function draftOf(charter: Charter, silo: string) {
  return { charter, decision: 'approve', silo, steward: 'Steward', atMs: START_MS } as const;
}

function memberOf(index: number): Member {
  const silo = `silo-${index}`;
  return { index, silo, identity: identityOf(silo), serial: index.toString(16).padStart(8, '0') };
}

// RFC 8410 section 7: PrivateKeyInfo of an Ed25519 seed, all but the seed.
const PKCS8 = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32);

function identityOf(name: string): Identity {
  const key = Buffer.concat([PKCS8, sha256(utf8(`simulated identity ${name}`))]);
  const pem = createPrivateKey({ key, format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  });
  return openIdentity(String(pem));
}

function configOf(): AggregatorConfig {
  return {
    apiVersion: 'medley/v1',
    kind: 'Aggregator',
    consortium: 'test',
    database: '',
    blobs: '',
    tls: { key: '', certificate: '', ca: '' },
    logKey: '',
    renewal: { key: '', certificate: '', days: 7, overlapMinutes: 60 },
    founders: ['ada'],
    approvals: 1,
    listen: { enrolment: '', rounds: '' },
    publicHost: '127.0.0.1',
    endpointsFile: '',
    floors: { minSurvivors: 3, minRoster: 3, minPatients: 1 },
    checkpointSeconds: 60,
    witnessQuorum: '2/3',
    disconnectGraceMs: 2000,
    startGraceMs: 10_000,
    keepMaskedVectors: false,
    limits: { ...SERVER_LIMITS, handshakeSeconds: 10, maxModelBytes: 2 ** 20 },
    logLevel: 'silent',
  };
}

/** Enrols the members and takes the study to its start, through the handlers that operators call. */
async function startStudy(
  folder: string,
  { config, caPem, logKey, members }: Pick<Consortium, 'config' | 'caPem' | 'logKey' | 'members'>,
  study: Study,
): Promise<{ charterBytes: Uint8Array; model: Uint8Array }> {
  mkdirSync(folder, { recursive: true });
  const store = await prismaStore(join(folder, 'medley.db'), START_MS);
  const rng = seededRng('consortium');
  const parts = await assembleAggregator({
    config,
    clock: CLOCK,
    rng,
    logger: silentLogger,
    store,
    blobs: await openBlobs(join(folder, 'blobs'), rng),
    masker: threadMasker,
    keys: {
      tlsKeyPem: '',
      tlsChainPem: '',
      caPem,
      crossPem: '',
      renewals: async () => undefined,
      logKey,
    },
  });
  for (const { silo: name, identity, serial } of members) {
    await store.tables.silos.put({
      name,
      state: 'enrolled',
      requestId: undefined,
      identityKey: identity.publicKey,
      fingerprint: 'six words',
      certificateSerial: serial,
      certificateExpiresMs: START_MS + 10 ** 10,
      lastSeenMs: 0,
    });
    await store.tables.certificates.put({
      serial,
      silo: name,
      issuer: 'authority',
      issuedMs: START_MS,
      untilMs: START_MS + 10 ** 10,
      chainPem: '',
      requestHash: undefined,
      revokedMs: undefined,
      reason: undefined,
    });
  }
  const [rounds, admin] = parts.services.rounds.map(({ handlers }) => handlers as never as Calls);
  const model = buildMlp({
    features: featureCount(study),
    hidden: [],
    outputs: 1,
    activation: 'relu',
    seed: 'simulation',
    inputName: study.model.input,
    outputName: study.model.output,
  });
  await admin!['proposeStudy']!(proposal(model), contextOf('operator', 'ada'));
  const { charter: charterBytes } = (await store.tables.studies.get(study.name))!;
  for (const { silo, identity } of members) {
    const { decision, signature } = signDecision(
      draftOf(readCharter(charterBytes), silo),
      identity,
    );
    const signed = { silo, statement: canonicalBytes(decision), signature };
    await rounds!['signCharter']!(
      { study: study.name, signature: signed },
      contextOf('silo', silo),
    );
  }
  await admin!['startStudy']!({ study: study.name }, contextOf('operator', 'ada'));
  await store.close();
  return { charterBytes, model };
}

type Calls = Readonly<Record<string, (request: unknown, context: CallContext) => Promise<unknown>>>;

async function* proposal(model: Uint8Array): AsyncGenerator {
  const blob = { sha256: sha256(model), sizeBytes: String(model.length) };
  yield { head: { studyFile: STUDY_BYTES, model: blob, silos: [] } };
  for (const chunk of toChunks(model)) yield { model: chunk };
}

function contextOf(role: 'operator' | 'silo', name: string): CallContext {
  return {
    peer: { role, name, consortium: 'test', serial: '' },
    signal: new AbortController().signal,
    metadata: undefined as never,
    method: '',
    address: 'simulation',
  };
}
