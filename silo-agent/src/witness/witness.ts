import {
  equalBytes,
  fromBase64,
  isMedleyError,
  timestamp,
  toBase64,
  type Clock,
  type ErrorCode,
} from '@medley/kit';
import {
  cosignCheckpoint,
  openCheckpoint,
  parseVerifierKey,
  verifyConsistency,
  type TreeHead,
  type WitnessKey,
} from '@medley/merkle';
import {
  forked,
  readFork,
  readHead,
  writeFork,
  writeHead,
  type ForkEvidence,
  type ForkKind,
  type WitnessFiles,
  type WitnessHead,
} from './record.ts';

/** Consistency proof from one size of the log to another, from the aggregator. */
export type ProveLog = (
  fromSize: number,
  toSize: number,
  signal: AbortSignal,
) => Promise<readonly Uint8Array[]>;

export interface WitnessParts {
  readonly files: WitnessFiles;
  readonly key: WitnessKey;
  readonly prove: ProveLog;
  readonly clock: Clock;
}

/** A checkpoint that this hospital was shown. */
export interface Shown {
  readonly note: string;
  /** Believed only while this hospital has seen no checkpoint at all. */
  readonly verifierKey: string;
  /** Whether it was shown as the newest there is; else it may be older than the one kept here. */
  readonly isNewest: boolean;
}

/** Faults of a proof, against faults of the way on which it came. */
const UNPROVEN: readonly ErrorCode[] = ['MERKLE_CONSISTENCY_FAILED', 'MERKLE_PROOF_MALFORMED'];

/**
 * This hospital as a witness of the log (C2SP tlog-witness, without a port of its own: it is shown
 * checkpoints on the connection that it dialled). It vouches for a checkpoint only after a proof that
 * it continues the last one, and after that is on disk. A log that cannot prove it is convicted: the
 * evidence is kept and every later call refuses. Calls take turns.
 */
export class Witness {
  readonly #parts: WitnessParts;
  #head: WitnessHead | undefined;
  #fork: ForkEvidence | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #loaded: Promise<void> | undefined;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
  }

  /** Reads the files, once. Throws AGENT_STATE_INVALID, FILE_UNREADABLE. */
  load(): Promise<void> {
    return (this.#loaded ??= this.#load());
  }

  /** The newest checkpoint that this hospital vouched for. */
  get head(): WitnessHead | undefined {
    return this.#head;
  }

  /** Throws LOG_FORKED once the log was caught, and what {@link load} throws. */
  async check(): Promise<void> {
    await this.load();
    if (this.#fork) throw forked(this.#fork);
  }

  /**
   * Checks a checkpoint against the last one and keeps it; gives this hospital's cosignature of the
   * newest. Throws LOG_FORKED with the evidence on disk; MERKLE_* for a checkpoint that the log did not
   * sign, FILE_UNWRITABLE and what `prove` throws, after all of which nothing has changed.
   */
  observe(shown: Shown, signal: AbortSignal): Promise<WitnessHead> {
    const turn = this.#turn.then(() => this.#observe(shown, signal));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #load(): Promise<void> {
    const { files } = this.#parts;
    this.#head = await readHead(files);
    this.#fork = await readFork(files);
  }

  async #observe(shown: Shown, signal: AbortSignal): Promise<WitnessHead> {
    await this.check();
    const verifierKey = this.#head?.verifierKey ?? shown.verifierKey;
    const now = openCheckpoint(shown.note, [parseVerifierKey(verifierKey)]);
    if (this.#head === undefined) return this.#keep(now, shown.note, verifierKey);
    const held: TreeHead = {
      origin: now.origin,
      size: this.#head.size,
      root: fromBase64(this.#head.root) ?? new Uint8Array(),
    };
    if (now.size < held.size && shown.isNewest) {
      await this.#convict('rollback', shown, [], 'MERKLE_CONSISTENCY_FAILED');
    }
    const [older, newer] = now.size < held.size ? [now, held] : [held, now];
    await this.#continues(older, newer, shown, signal);
    return now.size > held.size ? this.#keep(now, shown.note, verifierKey) : this.#head;
  }

  async #continues(
    older: TreeHead,
    newer: TreeHead,
    shown: Shown,
    signal: AbortSignal,
  ): Promise<void> {
    if (older.size === newer.size) {
      if (equalBytes(older.root, newer.root)) return;
      await this.#convict('fork', shown, [], 'MERKLE_CONSISTENCY_FAILED');
    }
    const proof = await this.#proof(older.size, newer.size, shown, signal);
    try {
      verifyConsistency({
        ...{ fromSize: older.size, fromRoot: older.root },
        ...{ toSize: newer.size, toRoot: newer.root, proof },
      });
    } catch (caught) {
      if (!isMedleyError(caught) || !UNPROVEN.includes(caught.code)) throw caught;
      await this.#convict('fork', shown, proof, caught.code);
    }
  }

  async #proof(
    from: number,
    to: number,
    shown: Shown,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    try {
      return await this.#parts.prove(from, to, signal);
    } catch (caught) {
      if (!isMedleyError(caught) || caught.code !== 'AUDIT_RANGE') throw caught;
      // It signed both sizes, so it must be able to.
      return this.#convict('unproven', shown, [], caught.code);
    }
  }

  async #keep(now: TreeHead, note: string, verifierKey: string): Promise<WitnessHead> {
    const { key, files, clock } = this.#parts;
    const head: WitnessHead = {
      medley: 'witnessHead/v1',
      verifierKey,
      size: now.size,
      root: toBase64(now.root),
      note,
      cosignature: cosignCheckpoint(note, key, Math.floor(clock.nowMs() / 1000)),
    };
    await writeHead(files, head);
    this.#head = head;
    return head;
  }

  async #convict(
    kind: ForkKind,
    { note }: Shown,
    proof: readonly Uint8Array[],
    fault: ErrorCode,
  ): Promise<never> {
    const { files, clock } = this.#parts;
    const { verifierKey = '', note: held = '' } = this.#head ?? {};
    const evidence: ForkEvidence = {
      ...{ medley: 'logFork/v1', kind, at: timestamp(clock.nowMs()), verifierKey },
      ...{ held, shown: note, proof: proof.slice(0, 256).map(toBase64), fault },
    };
    // Before the disk: a full one must not let this hospital go on.
    this.#fork = evidence;
    await writeFork(files, evidence);
    throw forked(evidence);
  }
}
