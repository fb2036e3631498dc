import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialParameters, inspectModel } from '@medley/autodiff';
import { canonicalBytes, sha256, silentLogger, systemRng, toHex, utf8 } from '@medley/kit';
import {
  formatVerifierKey,
  leafHash,
  logKeyFromSeed,
  MerkleTree,
  signCheckpoint,
  verifierKeyOf,
} from '@medley/merkle';
import { createIdentity, openIdentity, type Identity } from '@medley/pki';
import {
  accept,
  addInto,
  closePhase,
  deliverables,
  makeReceipt,
  openCoordinator,
  planUnmask,
  receiptToJson,
  removeMasks,
  threadMasker,
  unpackVector,
  vectorBytes,
  type CoordinatorEvent,
  type CoordinatorState,
  type SessionTerms,
} from '@medley/secagg';
import {
  charterHash,
  decodeModelState,
  DEFAULT_FLOORS,
  draftCharter,
  encodeModelState,
  kindOfRound,
  readStudy,
  settleRound,
  roundTerms,
  type Charter,
  type Floors,
  type SpendBytes,
  type Study,
} from '@medley/study';
import { DEFAULT_PRIVACY, type PrivacySettings } from '../../silo-agent/src/config.ts';
import { openLedger } from '../../silo-agent/src/budget/ledger.ts';
import type { AgentHome } from '../../silo-agent/src/home.ts';
import type { RoundMessages } from '../../silo-agent/src/round/messages.ts';
import { StudyRunner } from '../../silo-agent/src/round/runner.ts';
import type { RoundParts } from '../../silo-agent/src/round/seat.ts';
import type { BlobName, ClosedRound, Task, TaskStep } from '../../silo-agent/src/round/task.ts';
import { StudyFolder } from '../../silo-agent/src/study/folder.ts';
import { checkDocuments } from '../../silo-agent/src/study/offer.ts';
import { signDecision, type DecisionBytes } from '../../silo-agent/src/study/signature.ts';
import { MODEL, STUDY, STUDY_BYTES } from './studyFile.ts';
import { closedLeaf, HASTY_CLOCK, memberHome, NOW_MS } from './hospitalParts.ts';
import { honestWork } from './localWork.ts';
import { proveOver, witnessOf } from './witness.ts';

export { HASTY_CLOCK, NOW_MS, STUDY };

export const CONSORTIUM = 'test-consortium';
const LOG_KEY = logKeyFromSeed(`medley/${CONSORTIUM}`, sha256(utf8('log key of the test')));
/** What a silo sent: step and canonical text of the message, for comparing two sendings. */
export interface Sent {
  readonly silo: number;
  readonly step: string;
  readonly text: string;
}

/** One hospital of a test federation with its folder on disk. */
export interface Member {
  readonly index: number;
  readonly silo: string;
  readonly identity: Identity;
  readonly home: AgentHome;
  /** The runner at work; {@link Federation.restart} puts a new one here. */
  runner: StudyRunner;
  /** Codes of this silo's withdrawals. */
  readonly withdrawn: string[];
  /** Parts that a test may replace before `restart`. */
  parts: RoundParts;
}

/**
 * A whole study in one process: real runners over real folders, and an honest aggregator in memory
 * (the real coordinator, a real log) which a test can make lie.
 */
export class Federation {
  readonly charter: Charter;
  readonly members: readonly Member[];
  readonly blobs = new Map<string, Uint8Array>();
  readonly sent: Sent[] = [];
  readonly decisions: DecisionBytes[] = [];
  /** Statements of what rounds cost, as they came with vectors. */
  readonly spends: (SpendBytes & { readonly silo: number; readonly round: number })[] = [];
  readonly study: Study;
  readonly #leaves: Uint8Array[] = [utf8('an earlier leaf')];
  readonly #vectors = new Map<string, Uint32Array>();
  readonly #folder: string;
  #model: BlobName;
  #coordinator!: CoordinatorState;
  #terms!: SessionTerms;

  private constructor(folder: string, charter: Charter, members: readonly Member[], study: Study) {
    this.study = study;
    this.#folder = folder;
    this.charter = charter;
    this.members = members;
    const initial = { parameters: initialParameters(MODEL), standardisation: null };
    this.#model = this.put(encodeModelState(initial));
  }

  /** A federation of `n` whose charter everybody has signed. */
  static async open(
    n: number,
    options: {
      readonly policy?: Partial<Floors>;
      readonly studyBytes?: Uint8Array;
      readonly privacy?: PrivacySettings;
    } = {},
  ): Promise<Federation> {
    const { studyBytes = STUDY_BYTES, privacy = DEFAULT_PRIVACY } = options;
    const study = readStudy(studyBytes, 'study.yaml');
    const folder = await mkdtemp(join(tmpdir(), 'medley-federation-'));
    const identities = Array.from({ length: n }, () =>
      openIdentity(createIdentity().privateKeyPem),
    );
    const charter = draftCharter({
      consortium: CONSORTIUM,
      ...{ study, studyBytes },
      modelBytes: MODEL,
      modelParameters: inspectModel(MODEL).parameterCount,
      roster: identities.map(({ publicKey }, i) => ({
        silo: `silo-${i + 1}`,
        identityKey: publicKey,
      })),
      log: { origin: LOG_KEY.name, verifierKey: formatVerifierKey(verifierKeyOf('log', LOG_KEY)) },
      nowMs: NOW_MS,
      floors: DEFAULT_FLOORS,
    });
    const members: Member[] = [];
    const federation = new Federation(folder, charter, members, study);
    for (const [i, identity] of identities.entries()) {
      members.push(
        await federation.#member(
          { index: i + 1, identity, studyBytes },
          { ...DEFAULT_FLOORS, ...options.policy },
          privacy,
        ),
      );
    }
    return federation;
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ runner }) => runner.close()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  get terms(): SessionTerms {
    return this.#terms;
  }

  get coordinator(): CoordinatorState {
    return this.#coordinator;
  }

  get modelHash(): string {
    return this.#model.hex;
  }

  member(index: number): Member {
    return this.members[index - 1]!;
  }

  put(bytes: Uint8Array): BlobName {
    const hash = sha256(bytes);
    this.blobs.set(toHex(hash), bytes);
    return { sha256: hash, hex: toHex(hash), sizeBytes: bytes.length };
  }

  /** Begins an attempt, with the newest model. */
  begin(round: number, attempt = 1): void {
    this.#terms = this.termsOf(round, attempt);
    this.#vectors.clear();
    this.#coordinator = openCoordinator(this.#terms);
  }

  termsOf(round: number, attempt: number): SessionTerms {
    const kind = kindOfRound(this.study, round) ?? 'training';
    const { charter } = this;
    return roundTerms({
      charter,
      study: this.study,
      kind,
      round,
      attempt,
      modelHash: this.#model.hex,
    });
  }

  /** What the present step asks of a silo; undefined when it is out of the attempt. */
  task(index: number): Task | undefined {
    const next = deliverables(this.#coordinator, index);
    switch (next.step) {
      case 'none':
      case 'complete':
        return undefined;
      case 'aborted':
        return this.taskWith({ name: 'aborted', reasonCode: 'SECAGG_TOO_FEW', retried: true });
      case 'mask': {
        const { sharers, boxes } = next.delivery;
        return this.taskWith({ name: 'mask', sharers, boxes } as unknown as TaskStep);
      }
      default:
        // secagg's messages hold Uint8Array where the wire holds Buffer, which is one.
        return this.taskWith({ ...next, name: next.step } as unknown as TaskStep);
    }
  }

  taskWith(step: TaskStep, change: Partial<Task> = {}): Task {
    const { round, attempt } = this.#terms;
    return {
      id: { study: this.study.name, round, attempt },
      kind: kindOfRound(this.study, round) ?? 'training',
      charterHash: charterHash(this.charter),
      model: this.#model,
      deadlineMs: NOW_MS + 60_000,
      sessionId: this.#coordinator.sid,
      step,
      ...change,
    };
  }

  /** Gives the present step to silos (all by default) and waits until they have dealt with it. */
  async deliver(silos: readonly number[] = this.members.map(({ index }) => index)): Promise<void> {
    const present = silos.map((index) => this.member(index));
    for (const { runner, index } of present) {
      const task = this.task(index);
      if (task) runner.offer(task);
    }
    await Promise.all(present.map(({ runner }) => runner.settled()));
  }

  closeStep(): void {
    this.#coordinator = closePhase(this.#terms, this.#coordinator);
  }

  /** Runs the five steps of a round with these silos up to and including `last`. */
  async runSteps(silos?: readonly number[], last = 'release'): Promise<void> {
    while (this.#coordinator.phase !== 'complete' && this.#coordinator.phase !== 'aborted') {
      const { phase } = this.#coordinator;
      await this.deliver(silos);
      this.closeStep();
      if (phase === last) return;
    }
  }

  /** Opens the sum and makes the proof; the federation goes on from the next model. */
  finish(): Task {
    const sum = new Uint32Array([...this.#vectors.values()][0]!.length);
    for (const { silo } of this.#coordinator.headers)
      addInto(sum, this.#vectors.get(String(silo))!);
    removeMasks(sum, planUnmask(this.#terms, this.#coordinator));
    const kind = kindOfRound(this.study, this.#terms.round)!;
    const state = decodeModelState(this.blobs.get(this.#model.hex)!);
    const next = settleRound({ study: this.study, charter: this.charter, kind, state, sum });
    const nextModel = this.put(encodeModelState(next.state));
    const closed = this.prove(this.put(vectorBytes(sum)), nextModel);
    const task = this.taskWith(closed);
    this.#model = nextModel;
    return task;
  }

  /** Everything that proves a closed round, over whatever a test wants it to say. */
  prove(aggregate: BlobName, nextModel: BlobName, key = LOG_KEY): ClosedRound {
    const receipt = receiptToJson(makeReceipt(this.#terms, this.#coordinator, aggregate.sha256));
    const leaf = closedLeaf(CONSORTIUM, this.#terms, receipt, { aggregate, nextModel });
    this.#leaves.push(leaf);
    const tree = new MerkleTree(this.#leaves.map(leafHash));
    const [size, index] = [this.#leaves.length, this.#leaves.length - 1];
    const checkpoint = this.checkpointOver(this.#leaves, key);
    const proof = { leaf, index, checkpoint, path: tree.inclusionProof(index, size) };
    return { name: 'closed', receipt: canonicalBytes(receipt), aggregate, nextModel, proof };
  }

  /** The log's word for a tree of these leaves. */
  checkpointOver(leaves: readonly Uint8Array[], key = LOG_KEY): string {
    const root = new MerkleTree(leaves.map(leafHash)).root();
    return signCheckpoint({ origin: key.name, size: leaves.length, root }, key);
  }

  /** Hands a closed round to silos and waits. */
  async announce(
    task: Task,
    silos: readonly number[] = this.members.map(({ index }) => index),
  ): Promise<void> {
    for (const index of silos) this.member(index).runner.offer(task);
    await Promise.all(silos.map((index) => this.member(index).runner.settled()));
  }

  /** One whole round with these silos, announced to them. */
  async runRound(round: number, silos?: readonly number[]): Promise<Task> {
    this.begin(round);
    await this.runSteps(silos);
    const closed = this.finish();
    await this.announce(closed, silos);
    return closed;
  }

  /** Kills a silo's runner and starts a new one from its folder. */
  async restart(index: number, change: Partial<RoundParts> = {}): Promise<void> {
    const member = this.member(index);
    await member.runner.close();
    member.parts = { ...member.parts, ...change };
    member.runner = new StudyRunner(member.parts, this.study.name);
  }

  /** The aggregator's side of one silo's calls. */
  messagesOf(index: number, withdrawn: string[]): RoundMessages {
    const take = async (step: string, event: CoordinatorEvent, message: object): Promise<void> => {
      this.#coordinator = accept(this.#terms, this.#coordinator, event);
      this.sent.push({ silo: index, step, text: JSON.stringify(message) });
    };
    return {
      fetchBlob: async ({ hex }) => this.blobs.get(hex)!.slice(),
      advertise: (_id, message) => take('advertise', { kind: 'advert', message }, message),
      share: (_id, message) => take('share', { kind: 'shares', message }, message),
      submit: async (_id, { header, wire, spend }) => {
        await take('mask', { kind: 'masked', header }, header);
        if (spend) this.spends.push({ silo: index, round: this.#terms.round, ...spend });
        this.#vectors.set(String(index), unpackVector(this.#terms.layout, wire));
      },
      complain: (_id, message) => take('complain', { kind: 'complaint', message }, message),
      confirm: (_id, message) => take('confirm', { kind: 'confirmation', message }, message),
      release: (_id, message) => take('release', { kind: 'release', message }, message),
      withdraw: async (_id, code) => void withdrawn.push(code),
      proveLog: proveOver(this.#leaves),
      cosign: async () => undefined,
    };
  }

  async #member(
    who: { readonly index: number; readonly identity: Identity; readonly studyBytes: Uint8Array },
    policy: Floors,
    privacy: PrivacySettings,
  ): Promise<Member> {
    const { index, identity, studyBytes } = who;
    const silo = `silo-${index}`;
    const folder = join(this.#folder, silo);
    const site = { consortium: CONSORTIUM, silo, publicKey: identity.publicKey };
    const home = memberHome(folder, silo, policy, privacy);
    const documents = checkDocuments(studyBytes, canonicalBytes(this.charter), MODEL, site);
    const steward = `Steward of ${silo}`;
    const draft = {
      charter: this.charter,
      decision: 'approve',
      silo,
      steward,
      atMs: NOW_MS,
    } as const;
    const signed = signDecision(draft, identity);
    await new StudyFolder(home.paths, this.study.name, site).pin(documents, signed);
    const statement = canonicalBytes(signed.decision);
    this.decisions.push({ silo, statement, signature: signed.signature });
    const withdrawn: string[] = [];
    const parts: RoundParts = {
      home,
      site,
      identity,
      messages: this.messagesOf(index, withdrawn),
      decisions: async () => this.decisions,
      witness: await witnessOf(home.paths, silo, {
        prove: proveOver(this.#leaves),
        clock: HASTY_CLOCK,
      }),
      work: honestWork(index),
      ledger: openLedger(home, { clock: HASTY_CLOCK, processes: { pid: 1, isAlive: () => false } }),
      masker: threadMasker,
      clock: HASTY_CLOCK,
      rng: systemRng,
      logger: silentLogger,
    };
    return {
      index,
      silo,
      identity,
      home,
      runner: new StudyRunner(parts, this.study.name),
      withdrawn,
      parts,
    };
  }
}
