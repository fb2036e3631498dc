import { isMedleyError, seededRng, systemRng, toHex } from '@medley/kit';
import type {
  Client,
  ReleaseRequest,
  RoundKey,
  RoundTask__Output,
  RoundsMethods,
  SubmitRequest,
} from '@medley/rpc';
import { toChunks } from '@medley/rpc';
import {
  advertise,
  complain,
  confirm,
  encodeVector,
  mask,
  release,
  sessionId,
  share,
  vectorBytes,
  type MaskedHeader,
  type Release,
  type SessionTerms,
  type SiloState,
} from '@medley/secagg';
import {
  encodedRange,
  evaluationValues,
  readCharter,
  readStudy,
  roundTerms,
  statisticsValues,
  trainingValues,
  type Charter,
  type RoundKind,
  type SlotValues,
  type Study,
} from '@medley/study';
import type { EnrolledSilo } from './aggregator.ts';

export type Step = NonNullable<RoundTask__Output['step']>;

/** One silo's vector before masking. */
export interface Encoded {
  readonly terms: SessionTerms;
  readonly values: SlotValues;
  readonly words: Uint32Array;
}

/** A message that is about to be sent, and all that a hostile silo needs to send another one. */
export interface Sending {
  readonly step: 'advertise' | 'share' | 'mask' | 'confirm' | 'release';
  readonly task: RoundTask__Output;
  readonly terms: SessionTerms;
  readonly client: Client<RoundsMethods>;
  readonly silo: EnrolledSilo;
  /** Before the step; undefined in R0. */
  readonly before: SiloState | undefined;
  /** After the step; a lie about what was sent does not change it. */
  readonly state: SiloState;
  /** The masked vector, in R2. */
  readonly wire: Uint8Array | undefined;
  /** Sends the honest message. */
  readonly honestly: () => Promise<unknown>;
}

export interface SimOptions {
  /** Called in the place of sending a message. */
  readonly lie?: (sending: Sending) => Promise<unknown>;
  /** Announces each vector with a wrong size first. */
  readonly misstateSize?: boolean;
  /** Told of each vector before it is masked: the values of its slots and the words they became. */
  readonly encoded?: (plain: Encoded) => void;
  /** Called before a step is answered; `false` leaves it unanswered, `leave` ends the stream as well. */
  readonly before?: (task: RoundTask__Output, step: Step) => boolean | 'leave' | Promise<boolean>;
}

/**
 * A silo's agent without data and without a disk: rows and updates are made up from its name. It
 * takes every task that its stream brings and remembers what it was told.
 */
export class SimAgent {
  readonly closed: RoundTask__Output[] = [];
  readonly aborted: RoundTask__Output[] = [];
  readonly faults: string[] = [];
  readonly silo: EnrolledSilo;
  readonly #options: SimOptions;
  /** By round and attempt. */
  readonly states = new Map<string, SiloState>();
  /** Everything that it was ever told. */
  readonly heard: RoundTask__Output[] = [];
  readonly #vectors = new Map<string, Uint32Array>();
  readonly #stop = new AbortController();
  #documents: { charter: Charter; study: Study } | undefined;

  constructor(silo: EnrolledSilo, options: SimOptions = {}) {
    this.silo = silo;
    this.#options = options;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Attends until the stream ends. */
  async attend(client: Client<RoundsMethods>): Promise<void> {
    try {
      const request = { agentVersion: 'sim', protocolVersion: 2 };
      for await (const { round } of client.attend(request, { signal: this.#stop.signal })) {
        if (round) this.heard.push(round);
        if (round && (await this.#take(client, round)) === 'leave') return;
      }
    } catch (caught) {
      this.faults.push(isMedleyError(caught) ? caught.code : String(caught));
    }
  }

  async #take(
    client: Client<RoundsMethods>,
    task: RoundTask__Output,
  ): Promise<'leave' | undefined> {
    const step = task.step!;
    const may = (await this.#options.before?.(task, step)) ?? true;
    if (may === 'leave') return 'leave';
    if (step === 'closed') this.closed.push(task);
    else if (step === 'aborted') this.aborted.push(task);
    else if (may) {
      try {
        await this.#answer(client, task, await this.#termsOf(client, task));
      } catch (caught) {
        this.faults.push(isMedleyError(caught) ? caught.code : String(caught));
      }
    }
    return undefined;
  }

  async #termsOf(client: Client<RoundsMethods>, task: RoundTask__Output): Promise<SessionTerms> {
    const { study: name, round, attempt } = task.key!;
    if (!this.#documents) {
      const { charter, studyFile } = await client.getStudy({ study: name });
      this.#documents = {
        charter: readCharter(charter),
        study: readStudy(studyFile, 'study.yaml'),
      };
    }
    const kind = task.kind as RoundKind;
    const terms = roundTerms({
      ...this.#documents,
      kind,
      round,
      attempt,
      modelHash: toHex(task.model!.sha256),
    });
    if (toHex(sessionId(terms)) !== toHex(task.sessionId)) throw new Error('another session');
    return terms;
  }

  async #answer(
    client: Client<RoundsMethods>,
    task: RoundTask__Output,
    terms: SessionTerms,
  ): Promise<void> {
    const key = task.key!;
    const id = `${key.round} ${key.attempt}`;
    const me = terms.roster.find(({ silo }) => silo === this.silo.name)!.index;
    const signer = this.silo.identity;
    const state = this.states.get(id);
    const send = async (
      step: Sending['step'],
      next: SiloState,
      honestly: () => Promise<unknown>,
      wire?: Uint8Array,
    ): Promise<void> => {
      this.states.set(id, next);
      const { silo } = this;
      const sending = { step, task, terms, client, silo, before: state, state: next, wire };
      await (this.#options.lie ?? ((one) => one.honestly()))({ ...sending, honestly });
    };
    if (task.advertise) {
      if (state) return;
      const { state: next, message: advert } = advertise(terms, me, signer, systemRng);
      await send('advertise', next, () => client.advertise({ key, advert }));
    } else if (task.share && state) {
      const { state: next, message } = share(state, task.share.adverts, signer, systemRng);
      const boxes = [...message.boxes];
      await send('share', next, () => client.share({ key, ...message, boxes }));
    } else if (task.mask && state) {
      const complaint =
        state.phase === 'shared' ? complain(state, task.mask, signer, systemRng) : undefined;
      if (complaint) {
        await client.complain({ key, complaint });
        return;
      }
      // Rounding is random: the same task again must find the same vector.
      const vector = this.#vectors.get(id) ?? this.#encode(terms, task.kind as RoundKind);
      this.#vectors.set(id, vector);
      const { state: next, message: header, masked } = mask(state, task.mask, vector, signer);
      const wire = vectorBytes(masked);
      if (this.#options.misstateSize) {
        const wrong = { key, header, sizeBytes: String(wire.length + 4) };
        await client.submit([{ header: wrong }]).catch(() => undefined);
      }
      const honestly = () => client.submit(submission(key, header, wire));
      await send('mask', next, honestly, wire);
    } else if (task.confirm && state) {
      const { state: next, message } = confirm(state, task.confirm.survivors, signer);
      await send('confirm', next, () => client.confirm({ key, confirmation: message }));
    } else if (task.release && state) {
      const { state: next, message } = release(state, task.release.confirmations, signer);
      await send('release', next, () => client.release(releaseRequest(key, message)));
    }
  }

  #encode(terms: SessionTerms, kind: RoundKind): Uint32Array {
    const values = this.#values(kind, terms.round);
    const words = encodeVector(terms.layout, values, systemRng);
    this.#options.encoded?.({ terms, values, words });
    return words;
  }

  /** Twenty training rows in the middle of their ranges, a small update, ten test rows. */
  #values(kind: RoundKind, round: number): SlotValues {
    const { charter, study } = this.#documents!;
    const rng = seededRng(`${this.silo.name} ${String(round)}`);
    const logits = Array.from(rng.bytes(10), (byte) => byte / 64 - 2);
    const labels = logits.map((logit) => (logit > 0 ? 1 : 0));
    switch (kind) {
      case 'statistics': {
        const rows = Array.from({ length: 20 }, () =>
          Float64Array.from(
            encodedRange(study),
            ({ low, high }) => low + ((high - low) * rng.bytes(1)[0]!) / 255,
          ),
        );
        return statisticsValues(study, charter, rows);
      }
      case 'training': {
        const delta = new Float32Array(charter.modelParameters).fill(0.01);
        return trainingValues(study, charter, {
          delta,
          weight: 20,
          trainLoss: 0.7,
          test: { logits, labels },
        });
      }
      case 'evaluation':
        return evaluationValues(study, charter, { logits, labels });
    }
  }
}

/** A masked vector as it is submitted. */
export function submission(key: RoundKey, header: MaskedHeader, wire: Uint8Array): SubmitRequest[] {
  return [
    { header: { key, header, sizeBytes: String(wire.length) } },
    ...[...toChunks(wire)].map((chunk) => ({ chunk })),
  ];
}

/** A release as it is sent. */
export function releaseRequest(key: RoundKey, message: Release): ReleaseRequest {
  const { silo, seedShares, keyShares, signature } = message;
  return { key, silo, seedShares: [...seedShares], keyShares: [...keyShares], signature };
}
