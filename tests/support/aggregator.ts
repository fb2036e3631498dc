import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildMlp } from '@medley/autodiff';
import {
  cachedStore,
  createAggregator,
  openBlobs,
  prismaStore,
  type Aggregator,
  type AggregatorConfig,
  type AggregatorKeys,
  type Store,
} from '@medley/aggregator';
import {
  canonicalBytes,
  MedleyError,
  sha256,
  silentLogger,
  systemClock,
  systemRng,
  utf8,
} from '@medley/kit';
import { logKeyFromSeed } from '@medley/merkle';
import { threadMasker } from '@medley/secagg';
import {
  createCsr,
  createIdentity,
  createInvitation,
  createTlsKey,
  invitationSecretHash,
  issueCertificate,
  openIdentity,
  readInvitation,
  signEnrolment,
  signStatement,
  type Identity,
  type KeyPair,
} from '@medley/pki';
import {
  Admin,
  connect,
  Enrolment,
  Rounds,
  toChunks,
  type AdminMethods,
  type Client,
  type ClientTls,
  type EnrolmentMethods,
  type ProposeStudyReply__Output,
  type RoundsMethods,
  SERVER_LIMITS,
} from '@medley/rpc';
import {
  EXAMPLE_STUDY,
  decisionStatement,
  featureCount,
  readCharter,
  readStudy,
} from '@medley/study';
import { createTestAuthority, type TestAuthority } from './certificates.ts';

/** A silo that has enrolled. */
export interface EnrolledSilo {
  readonly name: string;
  readonly identity: Identity;
  readonly tls: ClientTls;
}

/** What is slow to make and may be shared by several consortia: the authority and the silos' TLS key. */
export interface TestKeys {
  readonly authority: TestAuthority;
  readonly key: KeyPair;
}

export async function testKeys(): Promise<TestKeys> {
  const [authority, key] = await Promise.all([createTestAuthority('test'), createTlsKey(2048)]);
  return { authority, key };
}

/** An aggregator on a real database and real sockets, with an operator's and silos' clients. */
export class TestConsortium {
  readonly authority: TestAuthority;
  readonly folder: string;
  readonly config: AggregatorConfig;
  readonly #key: KeyPair;
  #running: { aggregator: Aggregator; store: Store } | undefined;

  private constructor(
    authority: TestAuthority,
    folder: string,
    key: KeyPair,
    change: Partial<AggregatorConfig>,
  ) {
    this.authority = authority;
    this.folder = folder;
    this.#key = key;
    this.config = {
      apiVersion: 'medley/v1',
      kind: 'Aggregator',
      consortium: authority.consortium,
      database: join(folder, 'medley.db'),
      blobs: join(folder, 'blobs'),
      tls: { key: '', certificate: '', ca: '' },
      logKey: '',
      renewal: { key: '', certificate: '', days: 7, overlapMinutes: 60 },
      founders: ['ada'],
      approvals: 1,
      listen: { enrolment: '127.0.0.1:0', rounds: '127.0.0.1:0' },
      publicHost: '127.0.0.1',
      endpointsFile: join(folder, 'endpoints.json'),
      floors: { minSurvivors: 3, minRoster: 3, minPatients: 1 },
      checkpointSeconds: 60,
      witnessQuorum: '2/3',
      disconnectGraceMs: 50,
      startGraceMs: 50,
      keepMaskedVectors: false,
      limits: { ...SERVER_LIMITS, handshakeSeconds: 10, maxModelBytes: 2 ** 20 },
      logLevel: 'silent',
      ...change,
    };
  }

  static async create(
    keys?: TestKeys,
    change: Partial<AggregatorConfig> = {},
  ): Promise<TestConsortium> {
    const { authority, key } = keys ?? (await testKeys());
    const folder = await mkdtemp(join(tmpdir(), 'medley-aggregator-'));
    const consortium = new TestConsortium(authority, folder, key, change);
    await consortium.start();
    return consortium;
  }

  get aggregator(): Aggregator {
    return this.#running!.aggregator;
  }

  get store(): Store {
    return this.#running!.store;
  }

  /** `keys` in place of the consortium's own. */
  async start(keys: Partial<AggregatorKeys> = {}): Promise<void> {
    const { keyPem, chainPem } = this.authority.issue('aggregator', 'aggregator');
    const store = cachedStore(await prismaStore(this.config.database, systemClock.nowMs()));
    const aggregator = await createAggregator({
      masker: threadMasker,
      gatherMs: 15,
      config: this.config,
      clock: systemClock,
      rng: systemRng,
      logger: silentLogger,
      store,
      blobs: await openBlobs(this.config.blobs, systemRng),
      keys: {
        tlsKeyPem: keyPem,
        tlsChainPem: chainPem,
        caPem: this.authority.caPem,
        crossPem: '',
        renewals: async () => this.authority.renewals(),
        logKey: logKeyFromSeed('medley/test', sha256(utf8('log key'))),
        ...keys,
      },
    });
    this.#running = { aggregator, store };
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.aggregator.close();
    await running?.store.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  admin(tls = this.tlsOf('operator', 'ada')): Client<AdminMethods> {
    return connect({ service: Admin, address: this.aggregator.roundsAddress, tls });
  }

  rounds(tls: ClientTls): Client<RoundsMethods> {
    return connect({ service: Rounds, address: this.aggregator.roundsAddress, tls });
  }

  enrolment(): Client<EnrolmentMethods> {
    const { caPem } = this.authority;
    return connect({
      service: Enrolment,
      address: this.aggregator.enrolmentAddress,
      tls: { caPem },
    });
  }

  tlsOf(role: 'operator' | 'silo', name: string): ClientTls {
    const { certPem, keyPem } = this.authority.issue(role, name);
    return { caPem: this.authority.caPem, certPem, keyPem };
  }

  /** An invitation made and stored by the operator; gives its content. */
  async invite(
    admin: Client<AdminMethods>,
    silo: string,
    ttlMs = 60_000,
  ): Promise<ReturnType<typeof readInvitation>> {
    const { enrolmentAddress: enrolment, roundsAddress: rounds } = this.aggregator;
    const made = createInvitation({
      rng: systemRng,
      nowMs: systemClock.nowMs(),
      ttlMs,
      endpoints: { enrolment, rounds },
      consortium: this.authority.consortium,
      silo,
      caPin: this.authority.caPin,
    });
    const secretHash = Buffer.from(made.secretHash, 'hex');
    await admin.invite({
      silo,
      invitationId: made.id,
      secretHash,
      expiresMs: String(made.expiresAtMs),
    });
    return readInvitation(made.token, 0);
  }

  /** The signed request of a silo for an invitation. */
  requestOf(invitation: { id: string; secret: Uint8Array; silo: string }, identity: Identity) {
    const { id, secret, silo } = invitation;
    const consortium = this.authority.consortium;
    const csrPem = createCsr({ privateKeyPem: this.#key.privateKeyPem, consortium, name: silo });
    const signed = signEnrolment(identity, {
      invitationId: id,
      secretHash: invitationSecretHash(secret),
      silo,
      csrPem,
    });
    const { invitationId, identityKey, signature } = signed;
    return { invitationId, invitationSecret: secret, silo, csrPem, identityKey, signature };
  }

  issueFor(silo: string, csrPem: string): string {
    return issueCertificate({
      authority: this.authority.authority,
      subject: { consortium: this.authority.consortium, role: 'silo', name: silo },
      csrPem,
      nowMs: systemClock.nowMs(),
      days: 1,
      rng: systemRng,
    }).certificatePem;
  }

  /** The whole enrolment of one silo. */
  async enrol(admin: Client<AdminMethods>, silo: string): Promise<EnrolledSilo> {
    const identity = freshIdentity();
    const client = this.enrolment();
    const invitation = await this.invite(admin, silo);
    const { requestId } = await client.requestEnrolment(this.requestOf(invitation, identity));
    const pending = await admin.getEnrolment({ silo });
    const certificatePem = this.issueFor(silo, pending.csrPem);
    await admin.approveSilo({ requestId, certificatePem });
    const { signature } = signStatement(identity, 'collect', { requestId });
    const collected = await client.collectEnrolment({ requestId, signature });
    client.close();
    const tls = {
      caPem: collected.caPem,
      certPem: collected.certificatePem,
      keyPem: this.#key.privateKeyPem,
    };
    return { name: silo, identity, tls };
  }

  /** A study with the example's columns and a linear model, edited by `edit`. */
  async propose(
    admin: Client<AdminMethods>,
    edit: (yaml: string) => string,
  ): Promise<ProposeStudyReply__Output> {
    const studyFile = utf8(edit(EXAMPLE_STUDY));
    const features = featureCount(readStudy(studyFile, 'study.yaml'));
    const model = buildMlp({
      features,
      hidden: [],
      outputs: 1,
      activation: 'relu',
      seed: 'test',
      inputName: 'features',
      outputName: 'logit',
    });
    function* messages() {
      yield {
        head: { studyFile, model: { sha256: sha256(model), sizeBytes: String(model.length) } },
      };
      for (const chunk of toChunks(model)) yield { model: chunk };
    }
    return admin.proposeStudy(messages());
  }

  /** Signs the study's charter as the silo's steward. */
  async sign(silo: EnrolledSilo, study: string): Promise<{ signed: number; rosterSize: number }> {
    const client = this.rounds(silo.tls);
    const { charter: bytes } = await client.getStudy({ study });
    const statement = decisionStatement({
      charter: readCharter(bytes),
      decision: 'approve',
      silo: silo.name,
      steward: 'Steward',
      atMs: systemClock.nowMs(),
    });
    const { signature } = signStatement(silo.identity, 'charter', { ...statement });
    const signed = { silo: silo.name, statement: canonicalBytes(statement), signature };
    const reply = await client.signCharter({ study, signature: signed });
    client.close();
    return reply;
  }
}

/** A fresh identity, ready to sign. */
export function freshIdentity(): Identity {
  return openIdentity(createIdentity().privateKeyPem);
}

/** Code of the error that `work` fails with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (caught) {
    return MedleyError.from(caught).code;
  }
  return 'none';
}
