import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  MedleyError,
  sha256,
  silentLogger,
  systemClock,
  systemRng,
  toHex,
  writeDurably,
} from '@medley/kit';
import { createAuditService, openLogStore, type AuditConfig } from '@medley/audit';
import { runOperator, type Surroundings } from '@medley/operator';
import { encryptPrivateKey } from '@medley/pki';
import {
  Admin,
  requireRole,
  serve,
  startServer,
  toChunks,
  type AdminMethods,
  type Handlers,
  type PendingEnrolment,
  type RecordExportReply,
  type RunningServer,
  type SiloSummary,
  type StudyStatus,
  type StudySummary,
  type ApproveSiloReply,
  type SiloCertificate,
  type RevokedCertificate,
  type OperatorAccount,
  type TokenSummary,
} from '@medley/rpc';
import { createTestAuthority, type TestAuthority } from './certificates.ts';
import { createLogFile, type LogFile } from './log.ts';
import { CONSORTIUM, LOG_KEY, sealed, VERIFIER_KEY, wholeStudy } from './trail.ts';

/** What a command left behind. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What the fake aggregator answers, and what it was told. */
export class FakeAdmin {
  readonly told: { readonly method: string; readonly request: unknown }[] = [];
  pending: PendingEnrolment | undefined;
  approval: ApproveSiloReply = { state: 'enrolled', approvedBy: ['ada'], approvalsNeeded: 1 };
  certificate: SiloCertificate = {};
  revocations: RevokedCertificate[] = [];
  operators: OperatorAccount[] = [];
  tokens: TokenSummary[] = [];
  silos: SiloSummary[] = [];
  studies: StudySummary[] = [];
  /** Sent one after the other by WatchStudy; GetStudyStatus gives the first. */
  statuses: StudyStatus[] = [];
  /** After the last status the stream stays open. */
  keepsWatching = false;
  model: Readonly<Record<'state' | 'onnx' | 'studyFile', Uint8Array>> = {
    state: new Uint8Array(),
    onnx: new Uint8Array(),
    studyFile: new Uint8Array(),
  };
  proposedModel: Uint8Array | undefined;
  exported: RecordExportReply = {};

  readonly handlers: Handlers<AdminMethods> = {
    invite: (request) => this.#take('invite', request, {}),
    listSilos: (request) => this.#take('listSilos', request, { silos: this.silos }),
    getEnrolment: (request) => {
      if (!this.pending) throw new MedleyError('ENROLMENT_UNKNOWN', request.silo);
      return this.#take('getEnrolment', request, this.pending);
    },
    approveSilo: (request) => this.#take('approveSilo', request, this.approval),
    getCertificate: (request) => this.#take('getCertificate', request, this.certificate),
    revokeSilo: (request) => this.#take('revokeSilo', request, { serials: ['0a'] }),
    listRevocations: (request) =>
      this.#take('listRevocations', request, { revoked: this.revocations }),
    publishRevocations: (request) => this.#take('publishRevocations', request, {}),
    listOperators: (request) =>
      this.#take('listOperators', request, { operators: this.operators, approvalsNeeded: 2 }),
    addOperator: (request) => this.#take('addOperator', request, {}),
    changeOperator: (request) =>
      this.#take('changeOperator', request, {
        operator: { name: request.name, roles: request.roles, state: request.state },
      }),
    createToken: (request) => this.#take('createToken', request, {}),
    listTokens: (request) => this.#take('listTokens', request, { tokens: this.tokens }),
    revokeToken: (request) => this.#take('revokeToken', request, {}),
    refuseSilo: (request) => this.#take('refuseSilo', request, {}),
    proposeStudy: async (requests) => {
      const parts: Uint8Array[] = [];
      let head: unknown;
      for await (const message of requests) {
        head ??= message.head;
        if (message.model) parts.push(message.model.data);
      }
      this.proposedModel = new Uint8Array(Buffer.concat(parts));
      const roster = ['silo-1', 'silo-2'].map((silo, i) => ({ index: i + 1, silo }));
      return this.#take('proposeStudy', head, {
        study: 'recurrence-5y',
        charterHash: 'c0',
        roster,
      });
    },
    startStudy: (request) => this.#take('startStudy', request, {}),
    pauseStudy: (request) => this.#take('pauseStudy', request, {}),
    resumeStudy: (request) => this.#take('resumeStudy', request, {}),
    stopStudy: (request) => this.#take('stopStudy', request, {}),
    getStudyStatus: (request) => this.#take('getStudyStatus', request, this.#status(request)),
    watchStudy: (request, { signal }) => this.#watch(request, signal),
    listAllStudies: (request) => this.#take('listAllStudies', request, { studies: this.studies }),
    getModel: (request) => {
      const { state, onnx, studyFile } = this.model;
      const [stateRef, onnxRef] = [state, onnx].map((bytes) => ({
        sha256: sha256(bytes),
        sizeBytes: bytes.length,
      }));
      const reply = { state: stateRef!, onnx: onnxRef!, studyFile, round: 3, charterHash: 'c0' };
      return this.#take('getModel', request, reply);
    },
    replayRound: (request) => {
      const blob = { sha256: new Uint8Array(32).fill(7), sizeBytes: '4' };
      return this.#take('replayRound', request, {
        ...{ round: request.round, attempt: 2, survivors: 4, leafIndex: '31' },
        ...{ aggregate: blob, nextModel: blob, receiptHash: blob.sha256 },
      });
    },
    recordExport: (request) => this.#take('recordExport', request, this.exported),
    fetchModel: (request) => {
      const { state, onnx } = this.model;
      const hash = toHex(request.sha256);
      return streamOf(toChunks(toHex(sha256(state)) === hash ? state : onnx));
    },
  };

  #take<Reply>(method: string, request: unknown, reply: Reply): Reply {
    this.told.push({ method, request });
    return reply;
  }

  #status({ study }: { readonly study: string }): StudyStatus {
    const [first] = this.statuses;
    if (!first) throw new MedleyError('STUDY_UNKNOWN', study);
    return first;
  }

  async *#watch(request: { readonly study: string }, signal: AbortSignal) {
    this.told.push({ method: 'watchStudy', request });
    this.#status(request);
    yield* this.statuses;
    if (!this.keepsWatching) return;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    signal.throwIfAborted();
  }
}

/** A consortium on loopback: a fake aggregator, and the real audit service over a real log. */
export interface TestConsortium {
  readonly folder: string;
  readonly home: string;
  readonly passphraseFile: string;
  readonly authority: TestAuthority;
  readonly admin: FakeAdmin;
  readonly log: LogFile;
  /** Runs `medley` with these arguments and this consortium's home. */
  run(args: readonly string[], around?: Partial<Surroundings>): Promise<Ended>;
  /** Breaks every connection to the aggregator. */
  stopAggregator(): Promise<void>;
  /** Starts the aggregator on another free port. */
  startAggregator(): Promise<void>;
  close(): Promise<void>;
}

export async function startTestConsortium(): Promise<TestConsortium> {
  const [authority, log, folder] = await Promise.all([
    createTestAuthority(CONSORTIUM),
    createLogFile('medley.db', LOG_KEY),
    mkdtemp(join(tmpdir(), 'medley-operator-')),
  ]);
  await log.append(...sealed(wholeStudy()).entries);
  await log.checkpoint();
  const home = join(folder, 'operator');
  const passphraseFile = join(folder, 'ca.pass');
  await writeDurably(passphraseFile, 'correct horse battery\n');
  await writeHome(home, authority);

  const store = await openLogStore(log.file);
  const tls = serverTls(authority, 'audit');
  const audit = await createAuditService({ config: AUDIT, tls, store, logger: silentLogger });
  await writeDurably(join(home, 'audit.json'), JSON.stringify({ address: audit.address }));
  const admin = new FakeAdmin();
  let aggregator: RunningServer | undefined;
  const stopAggregator = async (): Promise<void> => aggregator?.close({ graceMs: 0 });
  const startAggregator = async (): Promise<void> => {
    aggregator = await startServer({
      address: '127.0.0.1:0',
      tls: serverTls(authority, 'aggregator'),
      services: [serve(Admin, admin.handlers)],
      authorise: (context) => void requireRole(context, 'operator'),
    });
    const endpoints = { enrolment: 'agg.example.org:7443', rounds: aggregator.address };
    await writeDurably(join(home, 'aggregator.json'), JSON.stringify(endpoints));
  };
  await startAggregator();
  return {
    folder,
    home,
    passphraseFile,
    authority,
    admin,
    log,
    run: (args, around) => runMedley([...args, '--home', home], { cwd: folder, ...around }),
    stopAggregator,
    startAggregator,
    close: async () => {
      await stopAggregator();
      await audit.close({ graceMs: 0 });
      store.close();
      log.close();
    },
  };
}

/** Runs `medley` with these arguments alone. */
export async function runMedley(
  args: readonly string[],
  around: Partial<Surroundings> = {},
): Promise<Ended> {
  let out = '';
  let err = '';
  const code = await runOperator(args, {
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    env: {},
    clock: systemClock,
    rng: systemRng,
    processes: { pid: process.pid, isAlive: (pid) => pid === 4_000_001 },
    signal: new AbortController().signal,
    cwd: tmpdir(),
    version: '0.0.0-test',
    ...around,
  });
  return { code, out, err };
}

const AUDIT: AuditConfig = {
  apiVersion: 'medley/v1',
  kind: 'Audit',
  database: 'medley.db',
  listen: '127.0.0.1:0',
  publicHost: '127.0.0.1',
  endpointsFile: 'endpoints.json',
  tls: { key: 'tls.key.pem', certificate: 'tls.pem', ca: 'ca.pem' },
  logLevel: 'silent',
};

async function writeHome(home: string, authority: TestAuthority): Promise<void> {
  const own = authority.issue('operator', 'ada');
  const key = authority.authority.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const config = {
    apiVersion: 'medley/v1',
    kind: 'Operator',
    consortium: CONSORTIUM,
    operator: 'ada',
    aggregator: { endpointsFile: 'aggregator.json' },
    audit: { endpointsFile: 'audit.json' },
  };
  const files = {
    'operator.yaml': stringify(config),
    'ca.pem': authority.caPem,
    'ca.key.pem': encryptPrivateKey(key, 'correct horse battery'),
    'operator.pem': own.certPem,
    'operator.key.pem': own.keyPem,
    'log.vkey': `${VERIFIER_KEY}\n`,
  };
  for (const [name, text] of Object.entries(files)) await writeDurably(join(home, name), text);
}

function serverTls(authority: TestAuthority, role: 'aggregator' | 'audit') {
  const own = authority.issue(role, role);
  return {
    keyPem: own.keyPem,
    certChainPem: own.chainPem,
    caPem: authority.caPem,
    requireClientCertificate: true,
  };
}

async function* streamOf<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}
