import { readFile } from 'node:fs/promises';
import {
  canonicalBytes,
  concatBytes,
  fromBase64,
  systemClock,
  systemRng,
  type LogFields,
  type Logger,
} from '@medley/kit';
import {
  connect,
  Rounds,
  serve,
  startServer,
  type Assignment,
  type CallContext,
  type Client,
  type Handlers,
  type RoundTask,
  type RoundsMethods,
  type RunningServer,
  type Served,
} from '@medley/rpc';
import {
  decodeAdvert,
  decodeComplaint,
  decodeConfirmation,
  decodeMaskedHeader,
  decodeRelease,
  decodeSharesMessage,
  deserializeSilo,
  threadMasker,
  type Complaint,
  type Confirmation,
} from '@medley/secagg';
import { Agent } from '../../silo-agent/src/agent.ts';
import { grpcMessages } from '../../silo-agent/src/round/messages.ts';
import type { RoundId, Task } from '../../silo-agent/src/round/task.ts';
import { createTestAuthority, type TestAuthority } from './certificates.ts';
import { CONSORTIUM, Federation, STUDY } from './hospitals.ts';
import { honestWork } from './localWork.ts';
import { Secrets } from './secrets.ts';
import { MODEL, STUDY_BYTES } from './studyFile.ts';

/** Something that a silo said, in the order in which it reached the aggregator. */
export interface Heard {
  readonly silo: number;
  readonly step: 'advertise' | 'share' | 'mask' | 'complain' | 'confirm' | 'release' | 'withdraw';
  readonly attempt: number;
  /** Of a withdrawal. */
  readonly code?: string;
  /** Phase that stood on the silo's disk when the message arrived. */
  readonly onDisk?: string;
}

/** The consortium's authority for {@link HostileAggregator.open}; slow to make, so made once. */
export function hostileAuthority(): Promise<TestAuthority> {
  return createTestAuthority(CONSORTIUM);
}

/**
 * An aggregator of the attacker's own making: a real gRPC server over mutual TLS whose coordinator says
 * whatever a test wants, and real agents with their own keys and disks that dial it. Every byte that
 * an agent sends is kept, and so is what its disk held, so that a test can compare the two.
 */
export class HostileAggregator {
  /** Bookkeeping of an honest run, to lie from: charter, coordinator, blobs. */
  readonly federation: Federation;
  readonly heard: Heard[] = [];
  /** Every message from agents, as it came off the wire. */
  readonly tape: Uint8Array[] = [];
  /** Steps that each agent has finished: `silo attempt step`. */
  readonly #taken = new Set<string>();
  /** What each agent logged as refused: silo and code. */
  readonly logged: { readonly silo: number; readonly code: string }[] = [];
  /** Every R3 message, whatever it confirms. */
  readonly confirmations: Confirmation[] = [];
  readonly complaints: Complaint[] = [];
  /** Served by GetStudy in place of the true charter. */
  charterBytes: Uint8Array;
  readonly secrets = new Secrets();
  readonly #seats = new Map<string, Seat>();
  readonly #clients: Client<RoundsMethods>[] = [];
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #server: RunningServer | undefined;
  #wakers: (() => void)[] = [];

  private constructor(federation: Federation) {
    this.federation = federation;
    this.charterBytes = canonicalBytes(federation.charter);
  }

  static async open(silos: number, authority: TestAuthority): Promise<HostileAggregator> {
    const host = new HostileAggregator(await Federation.open(silos));
    await host.#serve(authority);
    host.#attend(authority);
    return host;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    for (const client of this.#clients) client.close();
    await this.#server?.close({ graceMs: 0 });
    await this.federation.close();
  }

  /** A client with a silo's own certificate, as `medley-agent study` uses it. */
  client(index: number): Client<RoundsMethods> {
    return this.#clients[index - 1]!;
  }

  /** Puts a task on the silo's stream, whatever it says. */
  send(index: number, task: Task): void {
    this.#seats.get(`silo-${index}`)!.put({ round: wireTask(task) });
  }

  /** The first thing that the silo says after the first `from` that were heard. */
  async answer(index: number, from: number): Promise<Heard> {
    for (;;) {
      const found = this.heard.slice(from).find(({ silo }) => silo === index);
      if (found) return found;
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Resolves when the silo has done with a step: until then the same one again is a repeat. */
  async finished(index: number, step: string, attempt = 1): Promise<void> {
    while (!this.#taken.has(`${index} ${attempt} ${step}`)) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Asks silos honestly for the present step and waits until each has answered. */
  async ask(silos = this.federation.members.map(({ index }) => index)): Promise<void> {
    const from = this.heard.length;
    const asked = silos.filter((index) => this.federation.task(index) !== undefined);
    for (const index of asked) this.send(index, this.federation.task(index)!);
    await Promise.all(asked.map((index) => this.answer(index, from)));
  }

  /** Takes the round honestly up to `step`, which is left to be asked for. */
  async reach(step: string, silos?: readonly number[]): Promise<void> {
    while (this.federation.coordinator.phase !== step) {
      await this.ask(silos && [...silos]);
      this.federation.closeStep();
    }
  }

  /** Steps that the silo took in an attempt, in order, without withdrawals. */
  steps(index: number, attempt = 1): readonly string[] {
    return this.heard
      .filter((one) => one.silo === index && one.attempt === attempt && one.code === undefined)
      .map(({ step }) => step);
  }

  /** The attempt as it stands on the silo's disk. */
  async onDisk(index: number, attempt = 1): Promise<Readonly<Record<string, unknown>>> {
    return this.#stored(index, { round: this.federation.terms.round, attempt });
  }

  /** {@link Secrets.leaks} of everything that agents sent. */
  leaks(): readonly string[] {
    return this.secrets.leaks(Buffer.concat(this.tape));
  }

  /** {@link Secrets.openShares} of everything that agents sent. */
  openShares(): readonly string[] {
    return this.secrets.openShares(Buffer.concat(this.tape));
  }

  async #serve(authority: TestAuthority): Promise<void> {
    for (const { silo } of this.federation.members) this.#seats.set(silo, new Seat());
    const { keyPem, chainPem } = authority.issue('aggregator', 'aggregator');
    this.#server = await startServer({
      address: '127.0.0.1:0',
      tls: {
        keyPem,
        certChainPem: chainPem,
        caPem: authority.caPem,
        requireClientCertificate: true,
      },
      services: [this.#taped(serve(Rounds, this.#handlers()))],
    });
  }

  #attend(authority: TestAuthority): void {
    const runs = this.federation.members.map(({ index, silo, parts }) => {
      const { certPem, keyPem } = authority.issue('silo', silo);
      const tls = { caPem: authority.caPem, certPem, keyPem, serverRole: 'aggregator' } as const;
      const client = connect({ service: Rounds, address: this.#server!.address, tls });
      this.#clients.push(client);
      const agent = new Agent({
        ...parts,
        vouch: async () => undefined,
        messages: grpcMessages(client),
        decisions: async (study, signal) =>
          (await client.getStudy({ study }, { signal })).signatures,
        attend: (signal) => client.attend({ agentVersion: 'test', protocolVersion: 2 }, { signal }),
        work: honestWork(index),
        masker: threadMasker,
        clock: systemClock,
        rng: systemRng,
        logger: this.#logger(index),
      });
      const never = new AbortController().signal;
      return agent.run({ drain: never, stop: this.#stop.signal, drainMs: 0 });
    });
    this.#running = Promise.all(runs);
  }

  #logger(silo: number): Logger {
    const note = (message: string, fields?: LogFields): void => {
      if (message === 'step taken') {
        this.#taken.add(`${silo} ${fields?.attempt} ${fields?.step}`);
        this.#wakeAll();
      }
      if (fields?.code !== undefined) this.logged.push({ silo, code: fields.code });
    };
    const logger: Logger = {
      debug: () => undefined,
      info: note,
      warn: note,
      error: note,
      with: () => logger,
    };
    return logger;
  }

  /** The same service, with the bytes of every request kept as they come. */
  #taped(served: Served): Served {
    const definition = Object.fromEntries(
      Object.entries(served.definition).map(([name, method]) => [
        name,
        {
          ...method,
          requestDeserialize: (bytes: Buffer): unknown => {
            this.tape.push(Uint8Array.from(bytes));
            return method.requestDeserialize(bytes) as unknown;
          },
        },
      ]),
    );
    return { ...served, definition };
  }

  #handlers(): Handlers<RoundsMethods> {
    const { federation } = this;
    const signal = new AbortController().signal;
    const take = async (
      context: CallContext,
      step: Heard['step'],
      key: RoundId | null,
      book: (index: number, id: RoundId) => Promise<void>,
    ): Promise<{ repeatedMessage: boolean }> => {
      const index = indexOf(context);
      const onDisk = await this.#remember(index, key!);
      // What an honest coordinator would not take is no business of a hostile one.
      await book(index, key!).catch(() => undefined);
      this.#hear({ silo: index, step, attempt: key!.attempt, onDisk });
      return { repeatedMessage: false };
    };
    const messages = (index: number) => federation.messagesOf(index, []);
    const decide = (): never => {
      throw new Error('nobody decides here');
    };
    return {
      attend: (_request, context) => this.#seats.get(context.peer!.name)!.stream(context.signal),
      listStudies: () => ({ studies: [] }),
      getStudy: () => ({
        studyFile: STUDY_BYTES,
        model: MODEL,
        charter: this.charterBytes,
        signatures: [...federation.decisions],
        state: 'active',
      }),
      ...{ signCharter: decide, refuseCharter: decide, leaveStudy: decide },
      ...{ proveLog: decide, cosignCheckpoint: decide },
      fetchBlob: async function* ({ sha256 }) {
        const data = federation.blobs.get(Buffer.from(sha256).toString('hex'));
        if (data) yield { offset: '0', data };
      },
      advertise: ({ key, advert }, context) =>
        take(context, 'advertise', key, (index, id) =>
          messages(index).advertise(id, decodeAdvert(advert), signal),
        ),
      share: (request, context) =>
        take(context, 'share', request.key, (index, id) =>
          messages(index).share(id, decodeSharesMessage(request), signal),
        ),
      submit: async (requests, context) => {
        const pieces: Uint8Array[] = [];
        let head: { key: RoundId; header: unknown } | undefined;
        for await (const { header, chunk } of requests) {
          if (header) head = { key: header.key!, header: header.header };
          if (chunk) pieces.push(new Uint8Array(chunk.data));
        }
        const { key, header } = head!;
        return take(context, 'mask', key, (index, id) => {
          const vector = concatBytes(...pieces);
          return messages(index).submit(
            id,
            { header: decodeMaskedHeader(header), wire: vector, spend: undefined },
            signal,
          );
        });
      },
      complain: ({ key, complaint }, context) => {
        this.complaints.push(decodeComplaint(complaint));
        return take(context, 'complain', key, () => Promise.resolve());
      },
      confirm: ({ key, confirmation }, context) => {
        const decoded = decodeConfirmation(confirmation);
        this.confirmations.push(decoded);
        return take(context, 'confirm', key, (index, id) =>
          messages(index).confirm(id, decoded, signal),
        );
      },
      release: (request, context) =>
        take(context, 'release', request.key, (index, id) =>
          messages(index).release(id, decodeRelease(request), signal),
        ),
      withdraw: ({ key, code }, context) => {
        const { attempt } = key!;
        this.#hear({ silo: indexOf(context), step: 'withdraw', attempt, code });
        return {};
      },
    };
  }

  #hear(heard: Heard): void {
    this.heard.push(heard);
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  /** Copies the secrets of the silo's present state off its disk; gives the phase. */
  async #remember(index: number, id: Pick<RoundId, 'round' | 'attempt'>): Promise<string> {
    const file = await this.#stored(index, id);
    const phase = typeof file['phase'] === 'string' ? file['phase'] : 'nothing';
    if (typeof file['state'] !== 'string') return phase;
    const terms = this.federation.termsOf(id.round, id.attempt);
    const state = deserializeSilo(fromBase64(file['state'])!, terms);
    this.secrets.add(`round ${id.round}, attempt ${id.attempt}`, index, state);
    return phase;
  }

  async #stored(
    index: number,
    { round, attempt }: Pick<RoundId, 'round' | 'attempt'>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const folder = this.federation.member(index).home.paths.rounds(STUDY.name);
    const text = await readFile(`${folder}/${round}-${attempt}.json`, 'utf8').catch(() => '{}');
    return JSON.parse(text) as Record<string, unknown>;
  }
}

/** The tasks of one silo, on its stream. */
class Seat {
  readonly #waiting: Assignment[] = [];
  #wake: () => void = () => undefined;

  put(assignment: Assignment): void {
    this.#waiting.push(assignment);
    this.#wake();
  }

  async *stream(signal: AbortSignal): AsyncGenerator<Assignment> {
    yield { heartbeat: { nowMs: String(systemClock.nowMs()), leaseMs: 600_000 } };
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const next = this.#waiting.shift();
      if (next) yield next;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

function indexOf({ peer }: CallContext): number {
  return Number(peer!.name.replace('silo-', ''));
}

function wireTask({ id, kind, charterHash, model, deadlineMs, sessionId, step }: Task): RoundTask {
  const { name, ...fields } = step;
  return {
    key: id,
    kind,
    charterHash,
    model: { sha256: model.sha256, sizeBytes: String(model.sizeBytes) },
    deadlineMs: String(deadlineMs),
    sessionId,
    // The steps' fields have the wire's names.
    [name]: fields,
  };
}
