import { equalBytes, MedleyError, timestamp, type Clock } from '@medley/kit';
import {
  formatVerifierKey,
  leafHash,
  MerkleTree,
  openCheckpoint,
  signCheckpoint,
  verifierKeyOf,
  type LogKey,
} from '@medley/merkle';
import type { TrailEvent } from '@medley/trail';
import type { Store, Tables } from '../store/store.ts';

/** An event without what the ledger adds: version, time, consortium. */
export type EventDraft = TrailEvent extends infer Event
  ? Event extends TrailEvent
    ? Omit<Event, 'v' | 'at' | 'consortium'>
    : never
  : never;

/** What a change may do; valid only while its work runs. */
export interface Change {
  readonly tables: Tables;
  /** Records an event as the next leaf and returns the leaf's index. */
  readonly record: (event: EventDraft) => Promise<number>;
  /** Runs `effect` once the change is durable and before any later change begins. */
  readonly onCommit: (effect: () => void) => void;
}

/** Proof that a leaf is in the log, against the newest checkpoint. */
export interface LeafProof {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly checkpoint: string;
  /** Entries of the checkpoint's tree. */
  readonly treeSize: number;
  readonly path: readonly Uint8Array[];
}

export interface LedgerOptions {
  readonly store: Store;
  readonly key: LogKey;
  readonly consortium: string;
  readonly clock: Clock;
  /** The bytes of an event's leaf (trail's `encodeEvent`). */
  readonly encode: (event: TrailEvent) => Uint8Array;
}

/** Entries read at a time when the tree is rebuilt. */
const PAGE = 1000;

/**
 * The one way to change anything that matters: a transaction of the store whose audit leaves are
 * part of it. One change runs at a time, so that leaf indices have no gaps; a change that fails
 * leaves no leaf. The Merkle tree lives in memory and is rebuilt and checked at start.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #tree: MerkleTree;
  #newest: { readonly size: number; readonly note: string } | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: LedgerOptions, tree: MerkleTree) {
    this.#options = options;
    this.#tree = tree;
  }

  /**
   * Rebuilds the tree from the store and compares it with every checkpoint that was signed. Throws
   * LOG_CORRUPT when one byte of an entry, a hash, a checkpoint or the signing key differs.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options, await rebuilt(options.store.tables));
    ledger.#newest = await ledger.#checkAll();
    return ledger;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#tree.size;
  }

  /** What charters name the log by. */
  get identity(): { readonly origin: string; readonly verifierKey: string } {
    const key = verifierKeyOf('log', this.#options.key);
    return { origin: key.name, verifierKey: formatVerifierKey(key) };
  }

  /** True when leaves stand after the newest checkpoint. */
  get isDirty(): boolean {
    return this.#tree.size > (this.#newest?.size ?? 0);
  }

  /** Runs `work` as one change. It must not start another and wait for it. */
  change<T>(work: (change: Change) => Promise<T>): Promise<T> {
    return this.#enqueue(async () => {
      const staged: Uint8Array[] = [];
      const effects: (() => void)[] = [];
      const result = await this.#options.store.transaction(async (tables) => {
        // A store may run a transaction again: nothing of an earlier run stays.
        staged.length = 0;
        effects.length = 0;
        const record = async (event: EventDraft): Promise<number> => {
          const leaf = this.#encode(event);
          const hash = leafHash(leaf);
          const index = this.#tree.size + staged.length;
          staged.push(hash);
          await tables.log.append({ index, leaf, hash });
          return index;
        };
        return work({ tables, record, onCommit: (effect) => void effects.push(effect) });
      });
      for (const hash of staged) this.#tree.append(hash);
      for (const effect of effects) effect();
      return result;
    });
  }

  /** Signs and stores a checkpoint over all leaves, unless the newest one covers them. */
  checkpoint(): Promise<void> {
    return this.#enqueue(async () => {
      if (!this.isDirty) return;
      const { key, store } = this.#options;
      const size = this.#tree.size;
      const note = signCheckpoint({ origin: key.name, size, root: this.#tree.root() }, key);
      await store.tables.checkpoints.append({ size, note });
      this.#newest = { size, note };
    });
  }

  /** The newest checkpoint. */
  get newest(): { readonly size: number; readonly note: string } | undefined {
    return this.#newest;
  }

  /** The checkpoint of exactly this size, if one was signed. */
  async checkpointOf(size: number): Promise<string | undefined> {
    if (this.#newest?.size === size) return this.#newest.note;
    return (await this.#options.store.tables.checkpoints.of(size))?.note;
  }

  /**
   * Proof that the log of `to` leaves continues that of `from`. Throws AUDIT_RANGE unless
   * 0 < from <= to and a checkpoint covers them.
   */
  consistency(from: number, to: number): readonly Uint8Array[] {
    if (from < 1 || from > to || to > (this.#newest?.size ?? 0)) {
      throw new MedleyError('AUDIT_RANGE', `sizes ${from} and ${to}`);
    }
    return this.#tree.consistencyProof(from, to);
  }

  /** Proof for a leaf, undefined until a checkpoint covers it. */
  async prove(index: number): Promise<LeafProof | undefined> {
    const newest = this.#newest;
    if (newest === undefined || index >= newest.size) return undefined;
    const [entry] = await this.#options.store.tables.log.range(index, index + 1);
    if (!entry) throw new MedleyError('LOG_CORRUPT', `leaf ${index} is missing`);
    const path = this.#tree.inclusionProof(index, newest.size);
    return { leaf: entry.leaf, index, checkpoint: newest.note, treeSize: newest.size, path };
  }

  #encode(event: EventDraft): Uint8Array {
    const { consortium, clock, encode } = this.#options;
    // The draft is a TrailEvent but for the three fields that are added here.
    return encode({ ...event, v: 1, at: timestamp(clock.nowMs()), consortium });
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(work);
    this.#queue = run.catch(() => undefined);
    return run;
  }

  async #checkAll(): Promise<{ readonly size: number; readonly note: string } | undefined> {
    const checkpoints = await this.#options.store.tables.checkpoints.list();
    const trusted = [verifierKeyOf('log', this.#options.key)];
    for (const { size, note } of checkpoints) {
      const fault = (what: string, cause?: unknown): MedleyError =>
        new MedleyError('LOG_CORRUPT', `checkpoint of size ${size}: ${what}`, { cause });
      if (size > this.#tree.size) throw fault(`the log has only ${this.#tree.size} entries`);
      try {
        const head = openCheckpoint(note, trusted);
        if (head.size !== size || !equalBytes(head.root, this.#tree.root(size))) {
          throw fault('the entries have another root');
        }
      } catch (cause) {
        throw cause instanceof MedleyError && cause.code === 'LOG_CORRUPT'
          ? cause
          : fault('it is not signed by the log key', cause);
      }
    }
    return checkpoints.at(-1);
  }
}

async function rebuilt(tables: Tables): Promise<MerkleTree> {
  const tree = new MerkleTree();
  const count = await tables.log.count();
  while (tree.size < count) {
    const page = await tables.log.range(tree.size, tree.size + PAGE);
    if (page.length === 0) throw new MedleyError('LOG_CORRUPT', `entry ${tree.size} is missing`);
    for (const { index, leaf, hash } of page) {
      if (index !== tree.size || !equalBytes(hash, leafHash(leaf))) {
        throw new MedleyError('LOG_CORRUPT', `entry ${index} does not have its hash`);
      }
      tree.append(hash);
    }
  }
  return tree;
}
